"""The vendors' own libraries, and vector stores', whole and streamed: `genai_client.py PORT`.

Each operation is logged with the attributes that its span has to have, as the library read them off the answer. A word of
the model's or the collection's name tells operations apart.
"""

import itertools
import json
import os
import random
import sys
import time
import warnings

os.environ.update(NO_PROXY="*", ANONYMIZED_TELEMETRY="False", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")

import anthropic
import chromadb
import dashscope
import httpx
import ollama
import openai
import requests
from dashscope import Generation, TextEmbedding
from google import genai
from google.genai import errors as google_errors
from google.genai import types
from pinecone import Pinecone
from pinecone.exceptions import PineconeException
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from truth import log, token

RANDOM = random.Random(7)
CODINGS = itertools.cycle(os.environ.get("GENAI_CODINGS", "identity gzip deflate br zstd").split())
SECRET = "sk-secret-9f8e7d"
PROMPT = [{"role": "system", "content": "secret-prompt \u00e9 \"x\""}, {"role": "user", "content": "secret-prompt {[\n" + "y" * 300}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]


def coding():
    return {"Accept-Encoding": next(CODINGS)}


class Operation:
    """One request to a path: what was asked is known before, what was answered when it is over."""

    def __init__(self, port, path, **attributes):
        self.port, self.path, self.attributes = port, path, {key.replace("__", "."): value for key, value in attributes.items()}

    def __enter__(self):
        self.start = time.time_ns()
        return self

    def tell(self, **attributes):
        self.attributes.update({key.replace("__", "."): value for key, value in attributes.items()})

    def fail(self, status, error):
        self.status, self.attributes["error.type"] = status, error

    status = 200

    def __exit__(self, kind, *_):
        if kind is None:
            told = {key: value for key, value in self.attributes.items() if value is not None}
            log("http", self.port, ["POST", self.path], self.status, self.start, time.time_ns(), attributes=told)


def asked(operation, provider, model, **more):
    return {"gen_ai__operation__name": operation, "gen_ai__provider__name": provider, "gen_ai__request__model": model, **more}


def openai_usage(usage):
    if usage is None:
        return {"gen_ai__usage__input_tokens": "absent", "gen_ai__usage__output_tokens": "absent"}
    told = {"gen_ai__usage__input_tokens": usage.prompt_tokens, "gen_ai__usage__output_tokens": getattr(usage, "completion_tokens", None)}
    if details := getattr(usage, "prompt_tokens_details", None):
        told["gen_ai__usage__cache_read__input_tokens"] = details.cached_tokens
    if details := getattr(usage, "completion_tokens_details", None):
        told["gen_ai__usage__reasoning__output_tokens"] = details.reasoning_tokens
    return told


def open_ai(port, base, provider):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}{base}", api_key=SECRET, max_retries=0)
    path = f"{base}/chat/completions"
    for shape in ["plain", "tool", "long", "silent", "fail", "plain", "fail", "fail"]:
        model = f"gpt-{shape}-{token()}"
        with Operation(port, path, **asked("chat", provider, model, gen_ai__request__temperature=0.25, gen_ai__request__max_tokens=77, openai__api__type="chat_completions")) as running:
            try:
                count = RANDOM.choice([1, 3])
                answer = client.chat.completions.create(model=model, messages=PROMPT, temperature=0.25, max_completion_tokens=77, n=count, tools=TOOLS, extra_headers=coding())
            except openai.APIStatusError as error:
                running.fail(error.status_code, error.body.get("code") if isinstance(error.body.get("code"), str) else error.body["type"])
                continue
            calls = answer.choices[0].message.tool_calls or []
            running.tell(gen_ai__response__id=answer.id, gen_ai__response__model=answer.model, gen_ai__response__finish_reasons=[one.finish_reason for one in answer.choices],
                         gen_ai__request__choice__count=count if count > 1 else "absent", openai__response__system_fingerprint=answer.system_fingerprint,
                         gen_ai__request__stream="absent", **openai_usage(answer.usage))
            if shape == "plain":
                running.tell(gen_ai__tool__name="absent")
            assert shape != "tool" or len(calls) == 2
    for shape, with_usage in itertools.product(["plain", "tool", "break"], [True, False]):
        model = f"gpt-{shape}-{token()}"
        options = {"stream_options": {"include_usage": True}} if with_usage else {}
        with Operation(port, path, **asked("chat", provider, model, gen_ai__request__stream=True, gen_ai__request__top_p=0.5, gen_ai__request__seed=7)) as running:
            count = 1 if shape == "tool" else RANDOM.choice([1, 2])
            reasons, usage, calls = {}, None, []
            try:
                for chunk in client.chat.completions.create(model=model, messages=PROMPT, stream=True, top_p=0.5, seed=7, n=count, stop=["a", "bc"], extra_headers=coding(), **options):
                    usage = chunk.usage or usage
                    running.tell(gen_ai__response__id=chunk.id, gen_ai__response__model=chunk.model)
                    for choice in chunk.choices:
                        calls += [call for call in choice.delta.tool_calls or [] if call.id]
                        if choice.finish_reason:
                            reasons[choice.index] = choice.finish_reason
            except openai.APIError as error:
                assert shape == "break", error
                running.fail(200, error.code)
                time.sleep(0.1)  # The library goes away at the error; the stream ends behind it.
            running.tell(gen_ai__response__finish_reasons=list(reasons.values()) or "absent", gen_ai__request__stop_sequences=["a", "bc"], **openai_usage(usage))
            if calls:
                running.tell(gen_ai__tool__name=calls[0].function.name, gen_ai__tool__call__id=calls[0].id)
    for form in ["float", "base64"]:
        model = f"embed-{token()}"
        with Operation(port, f"{base}/embeddings", **asked("embeddings", provider, model, gen_ai__embeddings__dimension__count=32)) as running:
            answer = client.embeddings.create(model=model, input=["secret-prompt", "b"], dimensions=32, encoding_format=form, extra_headers=coding())
            running.tell(gen_ai__response__model=answer.model, gen_ai__usage__input_tokens=answer.usage.prompt_tokens, gen_ai__request__encoding_formats=[form],
                         gen_ai__usage__output_tokens="absent")
    model = f"old-{token()}"
    with Operation(port, f"{base}/completions", **asked("text_completion", provider, model)) as running:
        answer = client.completions.create(model=model, prompt="secret-prompt", extra_headers=coding())
        running.tell(gen_ai__response__id=answer.id, gen_ai__response__model=answer.model, gen_ai__response__finish_reasons=["stop"], **openai_usage(answer.usage))


def responses(port):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=SECRET, max_retries=0)
    for shape, stream in itertools.product(["plain", "tool", "long", "fail", "break"], [False, True]):
        if (shape, stream) == ("break", False):
            continue
        model = f"gpt-{shape}-{token()}"
        with Operation(port, "/v1/responses", **asked("chat", "openai", model, gen_ai__request__max_tokens=99, openai__api__type="responses")) as running:
            try:
                answer = client.responses.create(model=model, input="secret-prompt", max_output_tokens=99, stream=stream, instructions="secret-prompt", extra_headers=coding())
                if stream:
                    events = list(answer)
                    answer = events[-1].response
            except openai.APIStatusError as error:
                running.fail(error.status_code, error.body.get("code") if isinstance(error.body.get("code"), str) else error.body["type"])
                continue
            running.tell(gen_ai__response__id=answer.id, gen_ai__response__model=answer.model, gen_ai__request__stream=True if stream else "absent")
            if shape == "break":
                running.fail(200, answer.error.code)
                running.tell(gen_ai__usage__input_tokens="absent")
                continue
            reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
            call = next((item for item in answer.output if item.type == "function_call"), None)
            running.tell(gen_ai__response__finish_reasons=[reason], gen_ai__usage__input_tokens=answer.usage.input_tokens, gen_ai__usage__output_tokens=answer.usage.output_tokens,
                         gen_ai__usage__cache_read__input_tokens=answer.usage.input_tokens_details.cached_tokens,
                         gen_ai__usage__reasoning__output_tokens=answer.usage.output_tokens_details.reasoning_tokens,
                         gen_ai__tool__name=call.name if call else "absent", gen_ai__tool__call__id=call.call_id if call else "absent")


def anthropic_api(port):
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key=SECRET, max_retries=0)
    tools = [{"name": "get_weather", "description": "d", "input_schema": {"type": "object", "properties": {}}}]
    for shape, stream in itertools.product(["plain", "tool", "long", "fail", "break"], [False, True]):
        if (shape, stream) == ("break", False):
            continue
        model = f"claude-{shape}-{token()}"
        with Operation(port, "/v1/messages", **asked("chat", "anthropic", model, gen_ai__request__max_tokens=55, gen_ai__request__top_k=4)) as running:
            arguments = {"model": model, "max_tokens": 55, "messages": PROMPT[1:], "system": "secret-prompt", "tools": tools,
                         "extra_body": {"top_k": 4}, "extra_headers": coding()}
            try:
                if stream:
                    with client.messages.stream(**arguments) as events:
                        answer = events.get_final_message()
                else:
                    answer = client.messages.create(**arguments)
            except anthropic.APIStatusError as error:
                running.fail(error.status_code, error.body["error"]["type"])
                continue
            usage = answer.usage
            call = next((block for block in answer.content if block.type == "tool_use"), None)
            running.tell(gen_ai__response__id=answer.id, gen_ai__response__model=answer.model, gen_ai__response__finish_reasons=[answer.stop_reason],
                         gen_ai__usage__input_tokens=usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
                         gen_ai__usage__output_tokens=usage.output_tokens, gen_ai__usage__cache_read__input_tokens=usage.cache_read_input_tokens,
                         gen_ai__usage__cache_creation__input_tokens=usage.cache_creation_input_tokens, gen_ai__request__stream=True if stream else "absent",
                         gen_ai__tool__name=call.name if call else "absent", gen_ai__tool__call__id=call.id if call else "absent")


def gemini(port):
    def client():
        return genai.Client(api_key=SECRET, http_options=types.HttpOptions(base_url=f"http://127.0.0.1:{port}", headers=coding()))
    config = types.GenerateContentConfig(temperature=0.5, top_k=3, max_output_tokens=64, system_instruction="secret-prompt")
    for shape, stream in itertools.product(["plain", "tool", "long", "fail"], [False, True]):
        model = f"gemini-{shape}-{token()}"
        method = "streamGenerateContent" if stream else "generateContent"
        with Operation(port, f"/v1/models/{model}:{method}", **asked("generate_content", "gcp.gemini", model, gen_ai__request__max_tokens=64, gen_ai__request__top_k=3)) as running:
            try:
                fresh = client()
                call = fresh.models.generate_content_stream if stream else fresh.models.generate_content
                answer = call(model=model, contents="secret-prompt", config=config)
                parts = [answer] if not stream else list(answer)
            except google_errors.APIError as error:
                running.fail(error.code, error.status)
                continue
            calls = [part.function_call for one in parts for part in one.candidates[0].content.parts or [] if part.function_call]
            usage = parts[-1].usage_metadata
            running.tell(gen_ai__response__id=parts[-1].response_id, gen_ai__response__model=parts[-1].model_version,
                         gen_ai__response__finish_reasons=[parts[-1].candidates[0].finish_reason.value], gen_ai__usage__input_tokens=usage.prompt_token_count,
                         gen_ai__usage__output_tokens=usage.candidates_token_count + usage.thoughts_token_count,
                         gen_ai__usage__cache_read__input_tokens=usage.cached_content_token_count, gen_ai__usage__reasoning__output_tokens=usage.thoughts_token_count,
                         gen_ai__request__stream=True if stream else "absent", gen_ai__tool__name=calls[0].name if calls else "absent")
    model = f"gemini-{token()}"
    method = "batchEmbedContents"
    with Operation(port, f"/v1/models/{model}:{method}", **asked("embeddings", "gcp.gemini", model)):
        fresh = client()
        fresh.models.embed_content(model=model, contents=["secret-prompt", "b"])


def gemini_array(port):
    """Without `alt=sse` a stream is an array, which the library never asks for."""
    model = f"gemini-tool-{token()}"
    path = f"/v1beta/models/{model}:streamGenerateContent"
    with Operation(port, path, **asked("generate_content", "gcp.gemini", model, gen_ai__request__stream=True)) as running:
        answer = httpx.post(f"http://127.0.0.1:{port}{path}?key={SECRET}", json={"contents": [{"parts": [{"text": "secret-prompt"}]}]}, headers=coding()).json()
        usage = answer[-1]["usageMetadata"]
        running.tell(gen_ai__response__id=answer[-1]["responseId"], gen_ai__response__finish_reasons=["STOP"], gen_ai__tool__name="get_weather",
                     gen_ai__usage__output_tokens=usage["candidatesTokenCount"] + usage["thoughtsTokenCount"])


def qwen(port):
    dashscope.base_http_api_url = f"http://127.0.0.1:{port}/api/v1"
    path = "/api/v1/services/aigc/text-generation/generation"
    for shape, stream in itertools.product(["plain", "tool", "long", "fail"], [False, True]):
        model = f"qwen-{shape}-{token()}"
        with Operation(port, path, **asked("chat", "qwen", model, gen_ai__request__seed=11)) as running:
            answer = Generation.call(model=model, messages=PROMPT, api_key=SECRET, result_format="message", seed=11, stream=stream)
            if stream:
                answer = list(answer)[-1]
            if answer.status_code != 200:
                running.fail(answer.status_code, answer.code)
                continue
            calls = answer.output.choices[0].message.get("tool_calls")
            running.tell(gen_ai__response__id=answer.request_id, gen_ai__response__finish_reasons=[answer.output.choices[0].finish_reason],
                         gen_ai__usage__input_tokens=answer.usage.input_tokens, gen_ai__usage__output_tokens=answer.usage.output_tokens,
                         gen_ai__tool__name=calls[0]["function"]["name"] if calls else "absent", gen_ai__request__stream=True if stream else "absent")
    model = f"qwen-{token()}"
    with Operation(port, "/api/v1/services/embeddings/text-embedding/text-embedding", **asked("embeddings", "qwen", model)) as running:
        answer = TextEmbedding.call(model=model, input=["secret-prompt"], api_key=SECRET)
        running.tell(gen_ai__response__id=answer.request_id)


def ollama_api(port):
    for shape, stream, chat in itertools.product(["plain", "tool", "long", "fail"], [False, True], [False, True]):
        model = f"llama-{shape}-{token()}"
        path = "/api/chat" if chat else "/api/generate"
        with Operation(port, path, **asked("chat" if chat else "text_completion", "ollama", model, gen_ai__request__temperature=0.75)) as running:
            client = ollama.Client(host=f"http://127.0.0.1:{port}", headers=coding())
            options = {"options": {"temperature": 0.75}, "stream": stream}
            try:
                answer = client.chat(model=model, messages=PROMPT, **options) if chat else client.generate(model=model, prompt="secret-prompt", **options)
                if stream:
                    answer = list(answer)[-1]
            except ollama.ResponseError as error:
                running.fail(error.status_code, str(error.status_code))
                continue
            running.tell(gen_ai__response__model=answer.model, gen_ai__response__finish_reasons=[answer.done_reason], gen_ai__usage__input_tokens=answer.prompt_eval_count,
                         gen_ai__usage__output_tokens=answer.eval_count, gen_ai__request__stream=True if stream else "absent",
                         gen_ai__tool__name="get_weather" if chat and shape == "tool" else "absent")
    model = f"llama-{token()}"
    with Operation(port, "/api/embed", **asked("embeddings", "ollama", model)) as running:
        answer = client.embed(model=model, input="secret-prompt")
        running.tell(gen_ai__usage__input_tokens=answer.prompt_eval_count)


def searched(system, operation, collection, top_k, returned=None, **more):
    return {"gen_ai__operation__name": "retrieval", "gen_ai__provider__name": system, "db__system__name": system, "db__operation__name": operation,
            "gen_ai__data_source__id": collection, "db__collection__name": collection, "gen_ai__request__top_k": top_k, "db__response__returned_rows": returned, **more}


def stores(port):
    base = f"http://127.0.0.1:{port}"
    qdrant = QdrantClient(url=base, check_compatibility=False, api_key=None)
    for limit in [2, 9]:
        name = token()
        with Operation(port, f"/collections/{name}/points/query", **searched("qdrant", "query", name, limit, min(limit, 4))):
            qdrant.query_points(name, query=[0.1, 0.2], limit=limit)
    name = f"fail{token()}"
    with Operation(port, f"/collections/{name}/points/query", **searched("qdrant", "query", name, 3, "absent")) as running:
        try:
            qdrant.query_points(name, query=[0.1, 0.2], limit=3)
        except UnexpectedResponse as error:
            running.fail(error.status_code, str(error.status_code))
    name = token()
    with Operation(port, f"/collections/{name}/points/search", **searched("qdrant", "search", name, 3, 3)):
        requests.post(f"{base}/collections/{name}/points/search", json={"vector": [0.5] * 300, "limit": 3, "filter": None}, headers=coding())
    index = Pinecone(api_key=SECRET).Index(host=base)
    for limit in [2, 9]:
        name = token()
        with Operation(port, "/query", **searched("pinecone", "query", None, limit, min(limit, 5), db__namespace=name)):
            index.query(vector=[0.1, 0.2], top_k=limit, namespace=name)
    name = f"fail{token()}"
    with Operation(port, "/query", **searched("pinecone", "query", None, 3, "absent", db__namespace=name)) as running:
        try:
            index.query(vector=[0.1, 0.2], top_k=3, namespace=name)
        except PineconeException as error:
            running.fail(400, "3")
    for name in [token(), f"fail{token()}"]:
        failing = name.startswith("fail")
        with Operation(port, "/v2/vectordb/entities/search", **searched("milvus", "search", name, 2, "absent" if failing else 2)) as running:
            requests.post(f"{base}/v2/vectordb/entities/search", json={"collectionName": name, "data": [[0.5] * 300], "annsField": "v", "limit": 2, "dbName": "d"},
                          headers={"Authorization": f"Bearer root:{SECRET}", **coding()})
            if failing:
                running.fail(200, "100")
    weaviate = "{ Get { Book%s(nearVector: {vector: [0.1, 0.2]}, limit: 3) { title } } }"
    for name in [token(), f"Fail{token()}"]:
        with Operation(port, "/v1/graphql", **searched("weaviate", "query", f"Book{name}", 3)) as running:
            answer = requests.post(f"{base}/v1/graphql", json={"query": weaviate % name}, headers=coding()).json()
            if answer.get("errors"):
                running.fail(200, "_OTHER")


def chroma_api(port):
    start = time.time_ns()
    client = chromadb.HttpClient(host="127.0.0.1", port=port)
    for asked_first in ["auth/identity", "tenants/default_tenant", "tenants/default_tenant/databases/default_database"]:
        log("http", port, ["GET", f"/api/v2/{asked_first}"], 200, start, time.time_ns())
    path = "/api/v2/tenants/default_tenant/databases/default_database/collections"
    start = time.time_ns()
    collection = client.create_collection("books", embedding_function=None)
    log("http", port, ["POST", path], 200, start, time.time_ns())
    for limit in [2, 7]:
        name = str(collection.id)
        with Operation(port, f"{path}/{name}/query", **searched("chroma", "query", name, limit, 2 * min(limit, 4), db__namespace="default_database")):
            collection.query(query_embeddings=[[0.1, 0.2], [0.3, 0.4]], n_results=limit, include=["distances"])


def others(port):
    """Requests that only look like it."""
    for path, body in [("/survey/responses", {"model": "x", "input": "y"}), ("/v1/messages", {"text": "hello", "to": "you"}), ("/search", {"limit": 3}),
                       ("/api/chat", {"text": "hi", "room": 3})]:
        start = time.time_ns()
        status = requests.post(f"http://127.0.0.1:{port}/shop{path}", data=json.dumps(body), headers={"Content-Type": "application/json"}).status_code
        log("http", port, ["POST", f"/shop{path}"], status, start, time.time_ns(), attributes={"gen_ai.operation.name": "absent", "db.system.name": "absent"})


def main():
    for port in map(int, sys.argv[1:]):
        for _ in range(3):
            open_ai(port, "/v1", "openai")
            open_ai(port, "/compatible-mode/v1", "qwen")
            responses(port)
            anthropic_api(port)
            gemini(port)
            gemini_array(port)
            qwen(port)
            ollama_api(port)
            stores(port)
            chroma_api(port)
        others(port)


main()
