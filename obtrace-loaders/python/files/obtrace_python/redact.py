"""What is told of URLs and SQL: never a value (testdata/url.json, testdata/sql.json)."""

import re

_TEXTS = {}
_KEPT = 1000
_LONGEST = 65536

# Comments; dollar quotes; strings, prefixed or not, perhaps unfinished; quoted names; placeholders and names (kept); numbers.
_TOKEN = re.compile(r"""
    (?P<gone>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<value>\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
    | (?:[eE])'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | (?:[nNbBxX]|[uU]&)?'(?:[^'\\]|''|\\.)*(?:'|\Z))
  | (?P<kept>"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\$\d+|%\(\w*\)s|[:@]\w+|[A-Za-z_\u0080-\U0010ffff][\w$]*)
  | (?P<number>0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
""", re.VERBOSE | re.DOTALL)
_NAME = r'(?:"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[\w$]+)'
_TARGET = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?|JOIN)\s+(?:ONLY\s+)?(" + _NAME + r"(?:\." + _NAME + ")*)", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+")


def _masked(match):
    if match.lastgroup == "gone":
        return ""
    return match.group() if match.lastgroup == "kept" else "?"


def _masked_quotes(match):
    return "?" if match.group()[0] == '"' else _masked(match)


def statement(sql, quotes=False):
    """(text without literals, operation, collection or None) of a statement; the same texts come again and are kept. `quotes`:
    what stands in double quotes is a value, as MySQL has it, and not a name."""
    found = _TEXTS.get((sql, quotes))
    if found is None:
        found = _statement(sql, quotes)
        if len(_TEXTS) >= _KEPT:
            _TEXTS.clear()
        if len(sql) <= 8192:
            _TEXTS[sql, quotes] = found
    return found


def _statement(sql, quotes):
    text = _TOKEN.sub(_masked_quotes if quotes else _masked, sql[:_LONGEST]).strip()
    word = _WORD.match(text.lstrip("( "))
    operation = word.group().upper() if word else ""
    target = _TARGET.search(text) if operation in ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "CREATE", "ALTER", "DROP", "MERGE") else None
    return text[:4096], operation, target.group(1).replace('"', "").replace("`", "") if target else None


def url(text):
    """A URL without user information, fragment, and the values of its query."""
    text = text.partition("#")[0]
    head, question, query = text.partition("?")
    scheme, colon, rest = head.partition("://")
    if colon:
        authority, slash, path = rest.partition("/")
        if "@" in authority:
            head = scheme + colon + authority.rpartition("@")[2] + slash + path
    if not question:
        return head
    return head + "?" + "&".join([_parameter(pair) for pair in query.split("&")])


def _parameter(pair):
    name, equals, value = pair.partition("=")
    return name + equals + ("REDACTED" if value else "")
