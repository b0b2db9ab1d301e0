"""Two sums that differ in one bank."""


def recover(seen: dict[str, list[int]]) -> list[int]:
    return [a - b for a, b in zip(seen["sum_of_all"], seen["sum_without_bank_2"], strict=True)]
