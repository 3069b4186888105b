"""The trainers of LoRAs and of reward models."""
