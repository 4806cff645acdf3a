"""Speaks the APIs of models and of vector stores, as far as their clients look: `genai.py PORT...`.

What is answered is made up, but for what the request says: the model's name chooses among the shapes. A name with `fail`
is refused, with `break` fails in the middle of a stream, with `tool` calls tools, with `long` is cut off. Bodies are coded
as the first name in `Accept-Encoding` says.
"""

import base64
import gzip
import http.server
import json
import random
import struct
import sys
import threading
import time
import zlib

import brotli
import zstandard

RANDOM = random.Random(5)
WORDS = "the quick brown fox jumps over a lazy dog \u00e9\u4e16\U0001f600 \"quoted\" \\ {braces} [brackets]".split(" ")


def text():
    return " ".join(RANDOM.choice(WORDS) for _ in range(RANDOM.randrange(3, 60)))


def number(limit=2000):
    return RANDOM.randrange(1, limit)


def name(prefix):
    return prefix + "".join(RANDOM.choice("abcdef0123456789") for _ in range(24))


class Coder:
    """Codes a body piece by piece."""

    def __init__(self, coding):
        self.coding = coding
        if coding == "gzip":
            self.make = zlib.compressobj(6, zlib.DEFLATED, 31)
        elif coding == "deflate":
            self.make = zlib.compressobj(6, zlib.DEFLATED, 15)
        elif coding == "br":
            self.make = brotli.Compressor(quality=5)
        elif coding == "zstd":
            self.make = zstandard.ZstdCompressor(level=3).compressobj()

    def piece(self, data):
        if self.coding == "br":
            return self.make.process(data) + self.make.flush()
        if self.coding == "zstd":
            return self.make.compress(data) + self.make.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        if self.coding in ("gzip", "deflate"):
            return self.make.compress(data) + self.make.flush(zlib.Z_SYNC_FLUSH)
        return data

    def end(self):
        if self.coding == "br":
            return self.make.finish()
        if self.coding in ("gzip", "deflate", "zstd"):
            return self.make.flush()
        return b""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def read(self):
        if self.headers.get("transfer-encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return json.loads(body) if body else {}

    def coding(self):
        first = (self.headers.get("accept-encoding") or "identity").split(",")[0].strip()
        return first if first in ("gzip", "deflate", "br", "zstd") else "identity"

    def answer(self, document, status=200, kind="application/json", indent=None):
        coder = Coder(self.coding())
        body = coder.piece(json.dumps(document, indent=indent, ensure_ascii=RANDOM.random() < 0.5).encode()) + coder.end()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if coder.coding != "identity":
            self.send_header("Content-Encoding", coder.coding)
        if RANDOM.random() < 0.3:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while body:
                size = RANDOM.randrange(1, 200)
                self.chunk(body[:size])
                body = body[size:]
            self.chunk(b"")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def stream(self, pieces, kind, together=1):
        """Each piece a chunk, or cut anywhere, or several in one. The last ones, so many `together`, go with the end of the body:
        libraries that have read the last event, or an error before `[DONE]`, close their connection."""
        coder = Coder(self.coding())
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if coder.coding != "identity":
            self.send_header("Content-Encoding", coder.coding)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        held, last = b"", []
        for piece in pieces:
            last.append(piece)
            if len(last) <= together:
                continue
            held += last.pop(0)
            if RANDOM.random() < 0.2:
                continue
            cut = RANDOM.randrange(1, len(held) + 1) if RANDOM.random() < 0.3 else len(held)
            if data := coder.piece(held[:cut]):
                self.chunk(data)
            held = held[cut:]
            if RANDOM.random() < 0.3:
                time.sleep(0.001)
        data = coder.piece(held + b"".join(last)) + coder.end()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))

    def events(self, documents, named=False, done=False):
        def pieces():
            for document in documents:
                event = f"event: {document['type']}\n" if named else ""
                yield f"{event}data: {json.dumps(document)}\n\n".encode()
            if done:
                yield b"data: [DONE]\n\n"
        self.stream(pieces(), "text/event-stream; charset=utf-8", together=2 if done else 1)

    def do_POST(self):
        body = self.read()
        path = self.path.split("?")[0]
        for end, serve in PATHS if not path.startswith("/shop/") else []:
            if path.endswith(end) or end.endswith("*") and end[:-1] in path:
                return serve(self, body, path)
        self.answer({"error": {"message": "no such path", "type": "not_found_error", "code": None}}, 404)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/collections/"):
            return self.answer({"result": {"status": "green"}, "status": "ok", "time": 0})
        for end, document in READS:
            if path.endswith(end):
                return self.answer(document)
        self.answer({"title": "none"}, 404)


READS = [
    ("/v1/meta", {"hostname": "http://[::]:8080", "version": "1.30.0", "modules": {}}),
    ("/.well-known/openid-configuration", {}),
    ("/api/v2/auth/identity", {"user_id": "u", "tenant": "default_tenant", "databases": ["default_database"]}),
    ("/api/v2/tenants/default_tenant", {"name": "default_tenant"}),
    ("/api/v2/tenants/default_tenant/databases/default_database", {"id": "5c0f6a9e-0000-4000-8000-000000000000", "name": "default_database", "tenant": "default_tenant"}),
    ("/api/v2/heartbeat", {"nanosecond heartbeat": 1}),
    ("/api/v2/pre-flight-checks", {"max_batch_size": 1000}),
]


def refused(handler, model):
    kinds = [(401, "invalid_request_error", "invalid_api_key"), (429, "tokens", "rate_limit_exceeded"), (500, "server_error", None),
             (400, "BadRequestError", 400)]
    status, kind, code = kinds[zlib.crc32(model.encode()) % len(kinds)]
    handler.answer({"error": {"message": f"no {model}, key sk-secret-{number()}", "type": kind, "param": None, "code": code}}, status)


def usage(reasoning=True):
    document = {"prompt_tokens": number(), "completion_tokens": number(), "total_tokens": 1}
    if reasoning:
        document["prompt_tokens_details"] = {"cached_tokens": number(50), "audio_tokens": 0}
        document["completion_tokens_details"] = {"reasoning_tokens": number(50), "audio_tokens": 0}
    return document


def chat(handler, body, _path):
    model = body["model"]
    if "fail" in model:
        return refused(handler, model)
    ident, answered = name("chatcmpl-"), model + "-2026-01-01"
    if body.get("stream"):
        return handler.events(chat_chunks(body, ident, answered), done=True)
    choices = []
    for index in range(body.get("n") or 1):
        message = {"role": "assistant", "content": text(), "refusal": None}
        reason = "length" if "long" in model else "stop"
        if "tool" in model:
            calls = [{"id": name("call_"), "type": "function", "function": {"name": tool, "arguments": json.dumps({"city": text()})}}
                     for tool in ("get_weather", "get_time")]
            message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": reason})
    document = {"id": ident, "object": "chat.completion", "created": 1, "model": answered, "choices": choices, "service_tier": "default",
                "system_fingerprint": name("fp_")}
    if "silent" not in model:
        document["usage"] = usage()
    handler.answer(document, indent=2 if number(3) == 1 else None)


def chat_chunks(body, ident, answered):
    model, count = body["model"], body.get("n") or 1
    base = {"id": ident, "object": "chat.completion.chunk", "created": 1, "model": answered, "system_fingerprint": "fp_1"}
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    more = {"usage": None} if with_usage else {}
    for index in range(count):
        yield {**base, "choices": [{"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}], **more}
    for _ in range(number(12)):
        yield {**base, "choices": [{"index": number() % count, "delta": {"content": text()}, "finish_reason": None}], **more}
        if "break" in model:
            yield {"error": {"message": "out of memory", "type": "server_error", "code": "overloaded"}}
            return
    reason = "stop"
    if "tool" in model:
        reason = "tool_calls"
        yield {**base, "choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 0, "id": name("call_"), "type": "function", "function": {"name": "get_weather", "arguments": ""}}]}, "finish_reason": None}], **more}
        for part in ('{"ci', 'ty": "Par', 'is"}'):
            yield {**base, "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}, "finish_reason": None}], **more}
    for index in range(count):
        yield {**base, "choices": [{"index": index, "delta": {}, "logprobs": None, "finish_reason": reason}], **more}
    if with_usage:
        yield {**base, "choices": [], "usage": usage()}


def completions(handler, body, _path):
    handler.answer({"id": name("cmpl-"), "object": "text_completion", "created": 1, "model": body["model"] + "-1",
                    "choices": [{"text": text(), "index": 0, "logprobs": None, "finish_reason": "stop"}], "usage": usage(False)})


def responses(handler, body, _path):
    model = body["model"]
    if "fail" in model:
        return refused(handler, model)
    tokens = {"input_tokens": number(), "input_tokens_details": {"cached_tokens": number(50)}, "output_tokens": number(),
              "output_tokens_details": {"reasoning_tokens": number(50)}, "total_tokens": 1}
    output = [{"id": name("rs_"), "type": "reasoning", "summary": []},
              {"id": name("msg_"), "type": "message", "status": "completed", "role": "assistant",
               "content": [{"type": "output_text", "annotations": [], "text": text()}]}]
    if "tool" in model:
        output.append({"id": name("fc_"), "type": "function_call", "status": "completed", "call_id": name("call_"), "name": "get_weather",
                       "arguments": "{\"city\":\"Paris\"}"})
    incomplete = "long" in model
    full = {"id": name("resp_"), "object": "response", "created_at": 1, "status": "incomplete" if incomplete else "completed", "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if incomplete else None, "instructions": None, "model": model + "-1",
            "output": output, "parallel_tool_calls": True, "previous_response_id": None, "service_tier": "default", "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": tokens, "metadata": {}}
    if not body.get("stream"):
        return handler.answer(full)
    begun = {**full, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}

    def events():
        yield {"type": "response.created", "sequence_number": 0, "response": begun}
        yield {"type": "response.in_progress", "sequence_number": 1, "response": begun}
        for index, item in enumerate(output):
            yield {"type": "response.output_item.added", "sequence_number": 2, "output_index": index, "item": item}
            if item["type"] == "message":
                for _ in range(number(8)):
                    yield {"type": "response.output_text.delta", "sequence_number": 3, "item_id": item["id"], "output_index": index, "content_index": 0,
                           "delta": text(), "logprobs": []}
            if "break" in model:
                yield {"type": "response.failed", "sequence_number": 4, "response": {**full, "status": "failed", "usage": None, "output": [],
                       "error": {"code": "server_error", "message": "broke"}, "incomplete_details": None}}
                return
            yield {"type": "response.output_item.done", "sequence_number": 5, "output_index": index, "item": item}
        yield {"type": "response.incomplete" if incomplete else "response.completed", "sequence_number": 6, "response": full}
    handler.events(events(), named=True)


def embeddings(handler, body, _path):
    count = len(body["input"]) if isinstance(body["input"], list) else 1
    vector = [RANDOM.uniform(-1, 1) for _ in range(body.get("dimensions") or 64)]
    packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if body.get("encoding_format") == "base64" else vector
    handler.answer({"object": "list", "data": [{"object": "embedding", "index": at, "embedding": packed} for at in range(count)],
                    "model": body["model"] + "-1", "usage": {"prompt_tokens": number(), "total_tokens": 1}})


def messages(handler, body, _path):
    model = body["model"]
    if "fail" in model:
        return handler.answer({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, "request_id": "req_1"}, 529)
    content = [{"type": "text", "text": text(), "citations": None}]
    reason = "max_tokens" if "long" in model else "end_turn"
    if "tool" in model:
        content.append({"type": "tool_use", "id": name("toolu_"), "name": "get_weather", "input": {"city": "Paris"}, "caller": {"type": "direct"}})
        reason = "tool_use"
    tokens = {"input_tokens": number(), "cache_creation_input_tokens": number(99), "cache_read_input_tokens": number(99), "output_tokens": number(),
              "service_tier": "standard"}
    full = {"id": name("msg_"), "type": "message", "role": "assistant", "model": model + "-1", "content": content, "stop_reason": reason,
            "stop_sequence": None, "usage": tokens}
    if not body.get("stream"):
        return handler.answer(full)

    def events():
        yield {"type": "message_start", "message": {**full, "content": [], "stop_reason": None, "usage": {**tokens, "output_tokens": 1}}}
        yield {"type": "ping"}
        for index, block in enumerate(content):
            begun = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
            yield {"type": "content_block_start", "index": index, "content_block": begun}
            for part in ([block["text"][:9], block["text"][9:]] if block["type"] == "text" else ['{"city": ', '"Paris"}']):
                delta = {"type": "text_delta", "text": part} if block["type"] == "text" else {"type": "input_json_delta", "partial_json": part}
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            if "break" in model:
                yield {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
                return
            yield {"type": "content_block_stop", "index": index}
        yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": tokens["output_tokens"]}}
        yield {"type": "message_stop"}
    handler.events(events(), named=True)


def gemini(handler, body, path):
    model, method = path.rsplit("/", 1)[1].split(":")
    if "fail" in model:
        return handler.answer({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}, 400)
    if method == "embedContent":
        return handler.answer({"embedding": {"values": [0.5] * 8}})
    if method == "batchEmbedContents":
        return handler.answer({"embeddings": [{"values": [0.5] * 8}] * len(body["requests"])})
    parts = [{"text": text()}]
    if "tool" in model:
        parts.append({"functionCall": {"id": name("f"), "name": "get_weather", "args": {"city": "Paris"}}})
    tokens = {"promptTokenCount": number(), "candidatesTokenCount": number(), "thoughtsTokenCount": number(60), "cachedContentTokenCount": number(60),
              "totalTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]}
    ident = name("r")
    count = (body.get("generationConfig") or {}).get("candidateCount", 1)
    reason = "MAX_TOKENS" if "long" in model else "STOP"

    def document(parts, finish, tokens):
        candidates = [{"content": {"parts": parts, "role": "model"}, "index": index, **({"finishReason": finish} if finish else {})} for index in range(count)]
        return {"candidates": candidates, **({"usageMetadata": tokens} if tokens else {}), "modelVersion": model + "-001", "responseId": ident}
    if method == "generateContent":
        return handler.answer(document(parts, reason, tokens), indent=2)
    documents = [document([part], None, {"promptTokenCount": tokens["promptTokenCount"]}) for part in parts] + [document([{"text": ""}], reason, tokens)]
    if "alt=sse" in handler.path:
        return handler.events(documents)
    pieces = [("," if at else "[").encode() + json.dumps(one, indent=1).encode() + b"\n" for at, one in enumerate(documents)] + [b"]"]
    handler.stream(pieces, "application/json; charset=UTF-8")


def dashscope(handler, body, _path):
    model = body["model"]
    if "fail" in model:
        return handler.answer({"code": "InvalidApiKey", "message": "no", "request_id": name("q")}, 401)
    ident, reason = name("q"), "length" if "long" in model else "stop"
    tokens = {"input_tokens": number(), "output_tokens": number(), "total_tokens": 1, "prompt_tokens_details": {"cached_tokens": number(50)}}
    message = {"role": "assistant", "content": text()}
    if "tool" in model:
        message["tool_calls"] = [{"index": 0, "id": name("call_"), "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
        reason = "tool_calls"

    def document(message, finish, tokens):
        return {"output": {"choices": [{"finish_reason": finish, "message": message}]}, "usage": tokens, "request_id": ident}
    if handler.headers.get("x-dashscope-sse") != "enable":
        return handler.answer(document(message, reason, tokens))
    begun = {"role": "assistant", "content": message["content"][:5]}
    pieces = []
    for at, one in enumerate([document(begun, "null", {**tokens, "output_tokens": 1}), document(message, reason, tokens)], 1):
        pieces.append(f"id:{at}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(one)}\n\n".encode())
    handler.stream(pieces, "text/event-stream;charset=UTF-8")


def dashscope_embedding(handler, body, _path):
    texts = body["input"]["texts"]
    handler.answer({"output": {"embeddings": [{"text_index": at, "embedding": [0.25] * 8} for at in range(len(texts))]},
                    "usage": {"total_tokens": number()}, "request_id": name("q")})


def ollama(handler, body, path):
    model = body["model"]
    if "fail" in model:
        return handler.answer({"error": f"model '{model}' not found"}, 404)
    if path.endswith("/embed"):
        return handler.answer({"model": model, "embeddings": [[0.5] * 8], "total_duration": 1, "load_duration": 1, "prompt_eval_count": number()})
    chatting = path.endswith("/chat")
    end = {"model": model, "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "length" if "long" in model else "stop",
           "total_duration": 1, "prompt_eval_count": number(), "eval_count": number()}
    message = {"role": "assistant", "content": text()}
    if "tool" in model:
        message["tool_calls"] = [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]

    def said(content):
        return {"message": content} if chatting else {"response": content["content"]}
    if not body.get("stream", True):
        return handler.answer({**end, **said(message)})
    begun = {"model": model, "created_at": "2026-01-01T00:00:00Z", "done": False}
    documents = [{**begun, **said({"role": "assistant", "content": text()})} for _ in range(number(9))]
    documents += [{**begun, **said(message)}, {**end, **said({"role": "assistant", "content": ""})}]
    handler.stream([json.dumps(one).encode() + b"\n" for one in documents], "application/x-ndjson")


def qdrant(handler, body, path):
    if "fail" in path:
        return handler.answer({"status": {"error": "Not found: Collection doesn't exist!"}, "time": 0.1}, 404)
    points = [{"id": at, "version": 1, "score": 0.5} for at in range(min(body.get("limit", 10), 4))]
    if path.endswith("/batch"):
        return handler.answer({"result": [{"points": points}] * len(body["searches"]), "status": "ok", "time": 0.1})
    handler.answer({"result": {"points": points} if path.endswith("/query") else points, "status": "ok", "time": 0.1, "usage": None})


def pinecone(handler, body, _path):
    if body.get("namespace", "").startswith("fail"):
        return handler.answer({"code": 3, "message": "Vector dimension 2 does not match", "details": []}, 400)
    matches = [{"id": str(at), "score": 0.5, "values": []} for at in range(min(body["topK"], 5))]
    handler.answer({"results": [], "matches": matches, "namespace": body.get("namespace", ""), "usage": {"readUnits": 5}})


def milvus(handler, body, _path):
    if "fail" in body["collectionName"]:
        return handler.answer({"code": 100, "message": "can't find collection"})
    handler.answer({"code": 0, "cost": 0, "data": [{"id": at, "distance": 0.5} for at in range(min(body["limit"], 3))]})


def chroma(handler, body, path):
    if "/collections/" not in path:
        return handler.answer({"id": "5c0f6a9e-1111-4000-8000-000000000000", "name": body["name"], "configuration_json": {"hnsw": {}, "spann": None, "embedding_function": None},
                               "metadata": None, "dimension": None, "tenant": "default_tenant", "database": "default_database", "log_position": 0, "version": 0})
    ids = [str(at) for at in range(min(body["n_results"], 4))]
    several = len(body["query_embeddings"])
    handler.answer({"ids": [ids] * several, "distances": [[0.5] * len(ids)] * several, "documents": None, "embeddings": None, "metadatas": None, "uris": None,
                    "include": ["distances"]})


def weaviate(handler, body, _path):
    if "Fail" in body["query"]:
        return handler.answer({"data": {"Get": None}, "errors": [{"message": "no such class", "locations": [], "path": ["Get"]}]})
    handler.answer({"data": {"Get": {"Any": [{"title": text()}] * 3}}})


PATHS = [
    ("/chat/completions", chat), ("/completions", completions), ("/responses", responses), ("/embeddings", embeddings), ("/v1/messages", messages),
    ("/generation", dashscope), ("/text-embedding", dashscope_embedding), ("/api/chat", ollama), ("/api/generate", ollama), ("/api/embed", ollama),
    ("/points/search", qdrant), ("/points/query", qdrant), ("/points/query/batch", qdrant), ("/v2/vectordb/entities/search", milvus),
    ("/api/v2/tenants/*", chroma), ("/v1/graphql", weaviate), ("/query", pinecone), ("models/*", gemini),
]


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    servers = [Server(("127.0.0.1", int(port)), Handler) for port in sys.argv[1:]]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
