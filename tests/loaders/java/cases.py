"""The cases of Java, by what they are about."""

from java import aside_cases, delivery_cases, plain_cases, spring_cases, vector_cases

CASES = [*vector_cases.CASES, *aside_cases.CASES, *plain_cases.CASES, *delivery_cases.CASES, *spring_cases.CASES]
