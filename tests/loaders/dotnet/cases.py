"""The cases of .NET, by what they are about."""

from dotnet import aside_cases, calls_cases, contract_cases, database_cases, process_cases, server_cases, source_cases, vector_cases

CASES = [*vector_cases.CASES, *calls_cases.CASES, *server_cases.CASES, *database_cases.CASES, *source_cases.CASES,
         *contract_cases.CASES, *aside_cases.CASES, *process_cases.CASES]
