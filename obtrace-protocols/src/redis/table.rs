//! What is known about the commands: where their keys stand and what answers them.
//!
//! Source: the `COMMAND` and `COMMAND DOCS` tables of Redis 7.0, the reference pages of the newer hash, stream and vector
//! set commands, and of the modules' most frequent commands.

use super::command::{Answer, Group, Keys, Special};

/// Commands that have everything in common but their name. Names are separated by commas.
pub(super) const GROUPS: [Group; 57] = [
    Group {
        keys: Keys::Counted(1),
        answer: Answer::Aggregate,
        special: Special::Plain,
        names: "LMPOP,ZDIFF,ZINTER,ZMPOP,ZUNION",
    },
    Group { keys: Keys::Counted(1), answer: Answer::Integer, special: Special::Plain, names: "SINTERCARD,ZINTERCARD" },
    Group { keys: Keys::Counted(2), answer: Answer::Aggregate, special: Special::Plain, names: "BLMPOP,BZMPOP" },
    Group {
        keys: Keys::Counted(2),
        answer: Answer::Any,
        special: Special::Plain,
        names: "EVAL,EVALSHA,EVALSHA_RO,EVAL_RO,FCALL,FCALL_RO",
    },
    Group {
        keys: Keys::StoredCounted,
        answer: Answer::Integer,
        special: Special::Plain,
        names: "ZDIFFSTORE,ZINTERSTORE,ZUNIONSTORE",
    },
    Group { keys: Keys::None, answer: Answer::Aggregate, special: Special::Container, names: "COMMAND" },
    Group { keys: Keys::None, answer: Answer::Aggregate, special: Special::Exec, names: "EXEC" },
    Group { keys: Keys::None, answer: Answer::Aggregate, special: Special::Hello, names: "HELLO" },
    Group { keys: Keys::None, answer: Answer::Aggregate, special: Special::Plain, names: "ROLE,SCAN" },
    Group { keys: Keys::None, answer: Answer::List, special: Special::Plain, names: "KEYS,TIME" },
    Group { keys: Keys::None, answer: Answer::Any, special: Special::ClientReply, names: "CLIENT REPLY" },
    Group {
        keys: Keys::None,
        answer: Answer::Any,
        special: Special::Container,
        names: "\
            ACL,CLIENT,CLUSTER,CONFIG,FUNCTION,LATENCY,MEMORY,MODULE,OBJECT,PUBSUB,SCRIPT,\
            SLOWLOG,XGROUP,XINFO",
    },
    Group { keys: Keys::None, answer: Answer::Any, special: Special::Ping, names: "PING" },
    Group {
        keys: Keys::None,
        answer: Answer::Any,
        special: Special::Plain,
        names: "\
            ACL CAT,ACL GETUSER,ACL HELP,ACL LIST,ACL LOG,ACL USERS,CLIENT HELP,CLIENT TRACKINGINFO,\
            CLUSTER GETKEYSINSLOT,CLUSTER HELP,CLUSTER LINKS,CLUSTER REPLICAS,CLUSTER SHARDS,\
            CLUSTER SLAVES,CLUSTER SLOTS,COMMAND DOCS,COMMAND GETKEYS,COMMAND GETKEYSANDFLAGS,\
            COMMAND HELP,COMMAND INFO,COMMAND LIST,CONFIG GET,CONFIG HELP,DEBUG,FT.AGGREGATE,\
            FT.CREATE,FT.INFO,FT.SEARCH,FT._LIST,FUNCTION HELP,FUNCTION LIST,FUNCTION STATS,\
            LATENCY HELP,LATENCY HISTOGRAM,LATENCY HISTORY,LATENCY LATEST,MEMORY HELP,MEMORY STATS,\
            MODULE HELP,MODULE LIST,OBJECT HELP,PFSELFTEST,PUBSUB CHANNELS,PUBSUB HELP,\
            PUBSUB NUMSUB,PUBSUB SHARDCHANNELS,PUBSUB SHARDNUMSUB,SCRIPT DEBUG,SCRIPT EXISTS,\
            SCRIPT HELP,SHUTDOWN,SLOWLOG GET,SLOWLOG HELP,WAITAOF,XGROUP HELP,XINFO HELP",
    },
    Group {
        keys: Keys::None,
        answer: Answer::Integer,
        special: Special::Plain,
        names: "\
            ACL DELUSER,CLIENT GETREDIR,CLIENT ID,CLIENT UNBLOCK,CLUSTER COUNT-FAILURE-REPORTS,\
            CLUSTER COUNTKEYSINSLOT,CLUSTER KEYSLOT,COMMAND COUNT,LATENCY RESET,PUBSUB NUMPAT,\
            SLOWLOG LEN",
    },
    Group {
        keys: Keys::None,
        answer: Answer::Scalar,
        special: Special::Plain,
        names: "\
            ACL DRYRUN,ACL GENPASS,ACL WHOAMI,CLIENT GETNAME,CLIENT INFO,CLIENT KILL,CLIENT LIST,\
            CLUSTER BUMPEPOCH,CLUSTER INFO,CLUSTER MYID,CLUSTER MYSHARDID,CLUSTER NODES,\
            FUNCTION DUMP,FUNCTION LOAD,INFO,LATENCY DOCTOR,LATENCY GRAPH,MEMORY DOCTOR,\
            MEMORY MALLOC-STATS,SCRIPT LOAD",
    },
    Group {
        keys: Keys::None,
        answer: Answer::Status,
        special: Special::Plain,
        names: "\
            ACL LOAD,ACL SAVE,ACL SETUSER,BGREWRITEAOF,CLIENT CACHING,CLIENT NO-EVICT,\
            CLIENT NO-TOUCH,CLIENT PAUSE,CLIENT SETINFO,CLIENT SETNAME,CLIENT TRACKING,\
            CLIENT UNPAUSE,CLUSTER ADDSLOTS,CLUSTER ADDSLOTSRANGE,CLUSTER DELSLOTS,\
            CLUSTER DELSLOTSRANGE,CLUSTER FAILOVER,CLUSTER FLUSHSLOTS,CLUSTER FORGET,CLUSTER MEET,\
            CLUSTER REPLICATE,CLUSTER RESET,CLUSTER SAVECONFIG,CLUSTER SET-CONFIG-EPOCH,\
            CLUSTER SETSLOT,CONFIG RESETSTAT,CONFIG REWRITE,CONFIG SET,FAILOVER,FUNCTION DELETE,\
            FUNCTION FLUSH,FUNCTION KILL,FUNCTION RESTORE,MEMORY PURGE,MODULE LOAD,MODULE LOADEX,\
            MODULE UNLOAD,REPLCONF,SCRIPT FLUSH,SCRIPT KILL,SLOWLOG RESET",
    },
    Group {
        keys: Keys::None,
        answer: Answer::Any,
        special: Special::Subscribe,
        names: "PSUBSCRIBE,SSUBSCRIBE,SUBSCRIBE",
    },
    Group { keys: Keys::None, answer: Answer::Any, special: Special::Sync, names: "PSYNC,SYNC" },
    Group {
        keys: Keys::None,
        answer: Answer::Any,
        special: Special::Unsubscribe,
        names: "PUNSUBSCRIBE,SUNSUBSCRIBE,UNSUBSCRIBE",
    },
    Group { keys: Keys::None, answer: Answer::Bulk, special: Special::Plain, names: "ECHO,LOLWUT,RANDOMKEY" },
    Group {
        keys: Keys::None,
        answer: Answer::Integer,
        special: Special::Plain,
        names: "DBSIZE,LASTSAVE,PUBLISH,SPUBLISH,WAIT",
    },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Discard, names: "DISCARD" },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Monitor, names: "MONITOR" },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Multi, names: "MULTI" },
    Group {
        keys: Keys::None,
        answer: Answer::Status,
        special: Special::Plain,
        names: "\
            ASKING,AUTH,BGSAVE,FLUSHALL,FLUSHDB,READONLY,READWRITE,REPLICAOF,SAVE,SLAVEOF,SWAPDB,\
            UNWATCH",
    },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Quit, names: "QUIT" },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Reset, names: "RESET" },
    Group { keys: Keys::None, answer: Answer::Status, special: Special::Select, names: "SELECT" },
    Group { keys: Keys::Range(1, -1, 1), answer: Answer::List, special: Special::Plain, names: "SDIFF,SINTER,SUNION" },
    Group { keys: Keys::Range(1, -1, 1), answer: Answer::Sparse, special: Special::Plain, names: "MGET" },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Sparse,
        special: Special::Plain,
        names: "BITFIELD,BITFIELD_RO,GEOHASH,HMGET,ZMSCORE",
    },
    Group {
        keys: Keys::Range(1, -1, 1),
        answer: Answer::Integer,
        special: Special::Plain,
        names: "DEL,EXISTS,PFCOUNT,SDIFFSTORE,SINTERSTORE,SUNIONSTORE,TOUCH,UNLINK",
    },
    Group { keys: Keys::Range(1, -1, 1), answer: Answer::Status, special: Special::Plain, names: "PFMERGE,WATCH" },
    Group { keys: Keys::Range(1, -1, 2), answer: Answer::Integer, special: Special::Plain, names: "MSETNX" },
    Group { keys: Keys::Range(1, -1, 2), answer: Answer::Status, special: Special::Plain, names: "MSET" },
    Group {
        keys: Keys::Range(1, -2, 1),
        answer: Answer::List,
        special: Special::Plain,
        names: "BLPOP,BRPOP,BZPOPMAX,BZPOPMIN",
    },
    Group { keys: Keys::Range(1, -2, 1), answer: Answer::Any, special: Special::Plain, names: "JSON.MGET" },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Aggregate,
        special: Special::Plain,
        names: "\
            GEOPOS,GEORADIUSBYMEMBER_RO,GEORADIUS_RO,GEOSEARCH,HSCAN,SSCAN,XAUTOCLAIM,XCLAIM,XPENDING,\
            XRANGE,XREVRANGE,ZPOPMAX,ZPOPMIN,ZRANGE,ZRANGEBYSCORE,ZREVRANGE,ZREVRANGEBYSCORE,ZSCAN",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::List,
        special: Special::Plain,
        names: "\
            HGETALL,HKEYS,HVALS,LRANGE,SMEMBERS,SMISMEMBER,\
            ZRANGEBYLEX,ZREVRANGEBYLEX",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Any,
        special: Special::Plain,
        names: "\
            BF.MADD,BF.MEXISTS,GEORADIUS,GEORADIUSBYMEMBER,HEXPIRE,HEXPIREAT,HEXPIRETIME,HGETDEL,\
            HGETEX,HPERSIST,HPEXPIRE,HPEXPIREAT,HPEXPIRETIME,HPTTL,HSETEX,HTTL,\
            JSON.ARRAPPEND,JSON.DEL,JSON.GET,JSON.NUMINCRBY,JSON.SET,JSON.TYPE,LPOS,SORT,\
            SORT_RO,TS.GET,TS.RANGE,VEMB,VINFO,VLINKS,VRANDMEMBER,VSIM,XACKDEL,\
            XDELEX,ZRANK,ZREVRANK",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Scalar,
        special: Special::Plain,
        names: "\
            BF.ADD,BF.EXISTS,BF.RESERVE,CF.ADD,CF.EXISTS,RESTORE-ASKING,TS.ADD,TS.CREATE,VADD,VCARD,\
            VDIM,VGETATTR,VISMEMBER,VREM,VSETATTR",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Scalar,
        special: Special::Plain,
        names: "GEODIST,SET,XSETID,ZADD,ZINCRBY,ZSCORE",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Bulk,
        special: Special::Plain,
        names: "DUMP,GET,GETDEL,GETEX,GETRANGE,GETSET,HGET,HINCRBYFLOAT,INCRBYFLOAT,LINDEX,SUBSTR,XADD",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Integer,
        special: Special::Plain,
        names: "\
            APPEND,BITCOUNT,BITPOS,DECR,DECRBY,EXPIRE,EXPIREAT,EXPIRETIME,GEOADD,GETBIT,HDEL,\
            HEXISTS,HINCRBY,HLEN,HSET,HSETNX,HSTRLEN,INCR,INCRBY,LINSERT,LLEN,LPUSH,LPUSHX,LREM,\
            MOVE,PERSIST,PEXPIRE,PEXPIREAT,PEXPIRETIME,PFADD,PTTL,RPUSH,RPUSHX,SADD,SCARD,SETBIT,\
            SETNX,SETRANGE,SISMEMBER,SREM,STRLEN,TTL,XACK,XDEL,XLEN,XTRIM,ZCARD,ZCOUNT,\
            ZLEXCOUNT,ZREM,ZREMRANGEBYLEX,ZREMRANGEBYRANK,ZREMRANGEBYSCORE",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Status,
        special: Special::Plain,
        names: "HMSET,LSET,LTRIM,PSETEX,RESTORE,SETEX,TYPE",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::OneOrMore,
        special: Special::Plain,
        names: "HRANDFIELD,LPOP,RPOP,SPOP,SRANDMEMBER,ZRANDMEMBER",
    },
    Group { keys: Keys::Range(1, 2, 1), answer: Answer::Any, special: Special::Plain, names: "LCS" },
    Group {
        keys: Keys::Range(1, 2, 1),
        answer: Answer::Bulk,
        special: Special::Plain,
        names: "BLMOVE,BRPOPLPUSH,LMOVE,RPOPLPUSH",
    },
    Group {
        keys: Keys::Range(1, 2, 1),
        answer: Answer::Integer,
        special: Special::Plain,
        names: "COPY,GEOSEARCHSTORE,RENAMENX,SMOVE,ZRANGESTORE",
    },
    Group { keys: Keys::Range(1, 2, 1), answer: Answer::Status, special: Special::Plain, names: "RENAME" },
    Group { keys: Keys::Range(2, -1, 1), answer: Answer::Integer, special: Special::Plain, names: "BITOP" },
    Group {
        keys: Keys::Range(2, 2, 1),
        answer: Answer::Any,
        special: Special::Plain,
        names: "PFDEBUG,XINFO CONSUMERS,XINFO GROUPS,XINFO STREAM",
    },
    Group {
        keys: Keys::Range(2, 2, 1),
        answer: Answer::Scalar,
        special: Special::Plain,
        names: "\
            MEMORY USAGE,OBJECT ENCODING,OBJECT FREQ,OBJECT IDLETIME,OBJECT REFCOUNT,XGROUP CREATE,\
            XGROUP CREATECONSUMER,XGROUP DELCONSUMER,XGROUP DESTROY,XGROUP SETID",
    },
    Group { keys: Keys::Range(3, 3, 1), answer: Answer::Status, special: Special::Plain, names: "MIGRATE" },
    Group { keys: Keys::Streams(1), answer: Answer::Aggregate, special: Special::Plain, names: "XREAD" },
    Group { keys: Keys::Streams(4), answer: Answer::Aggregate, special: Special::Plain, names: "XREADGROUP" },
];
