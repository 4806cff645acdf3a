"""redis, synchronous and asynchronous, single, pipelined and in clusters: the commands' names, never a key or value."""

from obtrace_python.libraries.database import Server, begin_operation, wrap

_servers = {}


def server(client):
    """Where the commands of a client go."""
    pool = getattr(client, "connection_pool", None)
    told = getattr(pool, "connection_kwargs", None) or {}
    key = (told.get("host") or told.get("path"), told.get("port"), told.get("db"))
    found = _servers.get(key)
    if found is None:
        if len(_servers) >= 1000:
            _servers.clear()
        namespace = None if pool is None else str(key[2] or 0)
        found = _servers[key] = Server("redis", "redis", namespace, key[0] or (None if told.get("path") or pool is None else "localhost"), key[1] or 6379)
    return found


def text(arguments):
    """A command whose arguments are gone."""
    name = arguments[0].decode("latin-1") if isinstance(arguments[0], bytes) else str(arguments[0])
    return name.upper(), " ".join([name.upper()] + ["?"] * min(len(arguments) - 1, 32))


def command(client, arguments, named):
    if not arguments:
        return None
    operation, told = text(arguments)
    return begin_operation(server(client), operation, None, told)


def pipeline(client, arguments, named):
    stack = getattr(client, "command_stack", None) or getattr(client, "_command_stack", None) or []
    if not stack:
        return None
    told = [text(getattr(item, "args", None) or item[0]) for item in list(stack)[:50]]
    return begin_operation(server(client), "PIPELINE", None, "\n".join([line for _, line in told]), {"db.operation.batch.size": len(stack)})


def install(module):
    """`redis.client` and `redis.asyncio.client`."""
    wrap(module.Redis, "execute_command", "redis", command)
    wrap(module.Pipeline, "execute", "redis", pipeline)
    wrap(module.Pipeline, "immediate_execute_command", "redis", command)


def cluster(module):
    """`redis.cluster` and `redis.asyncio.cluster`."""
    wrap(module.RedisCluster, "execute_command", "redis", command)
    wrap(module.ClusterPipeline, "execute", "redis", pipeline)
