"""The cases of Python, by what they are about."""

from python import aside_cases, contract, flask_cases, library_cases, process_cases, server_cases, tls_cases, uwsgi_cases, vendor_cases

CASES = [*contract.CASES, *flask_cases.CASES, *server_cases.CASES, *uwsgi_cases.CASES, *tls_cases.CASES, *library_cases.CASES, *process_cases.CASES,
         *aside_cases.CASES, *vendor_cases.CASES]
