//! What is known about the commands: where their keys stand and what answers them.
//!
//! Source: the `COMMAND` and `COMMAND DOCS` tables of Redis 7.0, the reference pages of the newer hash, stream and vector
//! set commands, and of the modules' most frequent commands.

use super::command::{Answer, Group, Keys, Special};

/// Commands that have everything in common but their name. Names are separated by commas.
pub(super) const GROUPS: [Group; 47] = [
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
    Group { keys: Keys::None, answer: Answer::Aggregate, special: Special::Plain, names: "KEYS,ROLE,SCAN,TIME" },
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
            ACL CAT,ACL DELUSER,ACL DRYRUN,ACL GENPASS,ACL GETUSER,ACL HELP,ACL LIST,ACL LOAD,\
            ACL LOG,ACL SAVE,ACL SETUSER,ACL USERS,ACL WHOAMI,BGREWRITEAOF,CLIENT CACHING,\
            CLIENT GETNAME,CLIENT GETREDIR,CLIENT HELP,CLIENT ID,CLIENT INFO,CLIENT KILL,CLIENT LIST,\
            CLIENT NO-EVICT,CLIENT NO-TOUCH,CLIENT PAUSE,CLIENT SETINFO,CLIENT SETNAME,CLIENT TRACKING,\
            CLIENT TRACKINGINFO,CLIENT UNBLOCK,CLIENT UNPAUSE,CLUSTER ADDSLOTS,CLUSTER ADDSLOTSRANGE,\
            CLUSTER BUMPEPOCH,CLUSTER COUNT-FAILURE-REPORTS,CLUSTER COUNTKEYSINSLOT,CLUSTER DELSLOTS,\
            CLUSTER DELSLOTSRANGE,CLUSTER FAILOVER,CLUSTER FLUSHSLOTS,CLUSTER FORGET,\
            CLUSTER GETKEYSINSLOT,CLUSTER HELP,CLUSTER INFO,CLUSTER KEYSLOT,CLUSTER LINKS,CLUSTER MEET,\
            CLUSTER MYID,CLUSTER MYSHARDID,CLUSTER NODES,CLUSTER REPLICAS,CLUSTER REPLICATE,\
            CLUSTER RESET,CLUSTER SAVECONFIG,CLUSTER SET-CONFIG-EPOCH,CLUSTER SETSLOT,CLUSTER SHARDS,\
            CLUSTER SLAVES,CLUSTER SLOTS,COMMAND COUNT,COMMAND DOCS,COMMAND GETKEYS,\
            COMMAND GETKEYSANDFLAGS,COMMAND HELP,COMMAND INFO,COMMAND LIST,CONFIG GET,CONFIG HELP,\
            CONFIG RESETSTAT,CONFIG REWRITE,CONFIG SET,DEBUG,FAILOVER,FT.AGGREGATE,FT.CREATE,FT.INFO,\
            FT.SEARCH,FT._LIST,FUNCTION DELETE,FUNCTION DUMP,FUNCTION FLUSH,FUNCTION HELP,\
            FUNCTION KILL,FUNCTION LIST,FUNCTION LOAD,FUNCTION RESTORE,FUNCTION STATS,INFO,\
            LATENCY DOCTOR,LATENCY GRAPH,LATENCY HELP,LATENCY HISTOGRAM,LATENCY HISTORY,LATENCY LATEST,\
            LATENCY RESET,MEMORY DOCTOR,MEMORY HELP,MEMORY MALLOC-STATS,MEMORY PURGE,MEMORY STATS,\
            MODULE HELP,MODULE LIST,MODULE LOAD,MODULE LOADEX,MODULE UNLOAD,OBJECT HELP,PFSELFTEST,\
            PUBSUB CHANNELS,PUBSUB HELP,PUBSUB NUMPAT,PUBSUB NUMSUB,PUBSUB SHARDCHANNELS,\
            PUBSUB SHARDNUMSUB,REPLCONF,SCRIPT DEBUG,SCRIPT EXISTS,SCRIPT FLUSH,SCRIPT HELP,\
            SCRIPT KILL,SCRIPT LOAD,SHUTDOWN,SLOWLOG GET,SLOWLOG HELP,SLOWLOG LEN,SLOWLOG RESET,\
            WAITAOF,XGROUP HELP,XINFO HELP",
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
    Group {
        keys: Keys::Range(1, -1, 1),
        answer: Answer::Aggregate,
        special: Special::Plain,
        names: "MGET,SDIFF,SINTER,SUNION",
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
        answer: Answer::Aggregate,
        special: Special::Plain,
        names: "BLPOP,BRPOP,BZPOPMAX,BZPOPMIN",
    },
    Group { keys: Keys::Range(1, -2, 1), answer: Answer::Any, special: Special::Plain, names: "JSON.MGET" },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Aggregate,
        special: Special::Plain,
        names: "\
            BITFIELD,BITFIELD_RO,GEOHASH,GEOPOS,GEORADIUSBYMEMBER_RO,GEORADIUS_RO,GEOSEARCH,HGETALL,\
            HKEYS,HMGET,HSCAN,HVALS,LRANGE,SMEMBERS,SMISMEMBER,SSCAN,XAUTOCLAIM,XCLAIM,XPENDING,\
            XRANGE,XREVRANGE,ZMSCORE,ZPOPMAX,ZPOPMIN,ZRANGE,ZRANGEBYLEX,ZRANGEBYSCORE,ZREVRANGE,\
            ZREVRANGEBYLEX,ZREVRANGEBYSCORE,ZSCAN",
    },
    Group {
        keys: Keys::Range(1, 1, 1),
        answer: Answer::Any,
        special: Special::Plain,
        names: "\
            BF.ADD,BF.EXISTS,BF.MADD,BF.MEXISTS,BF.RESERVE,CF.ADD,CF.EXISTS,GEORADIUS,\
            GEORADIUSBYMEMBER,HEXPIRE,HEXPIREAT,HEXPIRETIME,HGETDEL,HGETEX,HPERSIST,HPEXPIRE,\
            HPEXPIREAT,HPEXPIRETIME,HPTTL,HRANDFIELD,HSETEX,HTTL,JSON.ARRAPPEND,JSON.DEL,JSON.GET,\
            JSON.NUMINCRBY,JSON.SET,JSON.TYPE,LPOP,LPOS,RESTORE-ASKING,RPOP,SORT,SORT_RO,SPOP,\
            SRANDMEMBER,TS.ADD,TS.CREATE,TS.GET,TS.RANGE,VADD,VCARD,VDIM,VEMB,VGETATTR,VINFO,\
            VISMEMBER,VLINKS,VRANDMEMBER,VREM,VSETATTR,VSIM,XACKDEL,XDELEX,\
            ZRANDMEMBER,ZRANK,ZREVRANK",
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
        names: "\
            MEMORY USAGE,OBJECT ENCODING,OBJECT FREQ,OBJECT IDLETIME,OBJECT REFCOUNT,PFDEBUG,\
            XGROUP CREATE,XGROUP CREATECONSUMER,XGROUP DELCONSUMER,XGROUP DESTROY,XGROUP SETID,\
            XINFO CONSUMERS,XINFO GROUPS,XINFO STREAM",
    },
    Group { keys: Keys::Range(3, 3, 1), answer: Answer::Status, special: Special::Plain, names: "MIGRATE" },
    Group { keys: Keys::Streams(1), answer: Answer::Aggregate, special: Special::Plain, names: "XREAD" },
    Group { keys: Keys::Streams(4), answer: Answer::Aggregate, special: Special::Plain, names: "XREADGROUP" },
];
