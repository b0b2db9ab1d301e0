"""The parts that hold keys or call cryptographic libraries. Use the schemes of `secure_fl.secagg` instead."""
