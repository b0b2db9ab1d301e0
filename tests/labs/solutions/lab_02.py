"""What I know is subtracted."""


def recover(seen: dict[str, list[int]]) -> list[int]:
    return [total - mine for mine, total in zip(seen["mine"], seen["sum"], strict=True)]
