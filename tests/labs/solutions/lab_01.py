"""The masks cancel between rounds."""


def recover(seen: dict[str, list[int]]) -> list[int]:
    differences = [b - a for a, b in zip(seen["round_1"], seen["round_2"], strict=True)]
    return [(d + 32768) % 65536 - 32768 for d in differences]
