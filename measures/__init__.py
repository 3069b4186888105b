"""What can be measured of a clip without any weights: motion, flicker, standstill, sharpness, light, colour and cuts."""
