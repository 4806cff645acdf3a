"""The cases of Ruby, by what they are about."""

from ruby import contract_cases, harmless_cases, library_cases, process_cases, server_cases

CASES = [*contract_cases.CASES, *server_cases.CASES, *process_cases.CASES, *harmless_cases.CASES, *library_cases.CASES]
