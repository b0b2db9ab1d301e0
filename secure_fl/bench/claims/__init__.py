"""Two claims that are made for federated fraud detection, measured."""
