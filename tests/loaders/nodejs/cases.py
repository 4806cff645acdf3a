"""The cases of Node.js, by what they are about."""

from nodejs import agent_cases, behaviour_cases, exit_cases, express_cases, library_cases, vector_cases

CASES = [*vector_cases.CASES, *express_cases.CASES, *library_cases.CASES, *exit_cases.CASES, *behaviour_cases.CASES, *agent_cases.CASES]
