"""Preference LoRAs for flow models: methods (losses) x backbones x callbacks, on the shared training loop."""
