//! Programs that run no language of ours: servers in C and C++, other languages, tools, and what only waits.

/// What is known of a program that is none of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Native {
    /// A server or a language of its own: whatever the image says, that is what runs.
    Server,
    /// Waits for something.
    Idle,
    /// Does a small thing and ends; says nothing of what comes before or after it.
    Tool,
    /// Starts programs that are written down elsewhere.
    Launcher,
}

/// Sorted.
#[rustfmt::skip]
const SERVERS: &[&str] = &[
    "R", "Rscript", "aerospike", "asd", "asterisk", "beam.smp", "chronyd", "clickhouse", "clickhouse-server",
    "collectd", "coturn", "cron", "crond", "cupsd", "dnsmasq", "dovecot", "dragonfly", "elixir", "envoy", "erl",
    "exim", "fluent-bit", "freeradius", "guacd", "haproxy", "httpd", "icinga2", "iex", "janus", "julia",
    "keepalived", "keydb-server", "kong", "lighttpd", "lua", "luajit", "mariadb", "mariadbd", "memcached", "mix",
    "mongo", "mongod", "mongos", "mongosh", "mosquitto", "mysql", "mysqld", "mysqld_safe", "mysqldump", "named",
    "nfsd", "nginx", "nginx-debug", "ntpd", "ntpdate", "odyssey", "openresty", "pause", "perl", "pg_dump",
    "pgbouncer", "pgpool", "postfix", "postgres", "postmaster", "proftpd", "proxysql", "psql", "pure-ftpd",
    "rabbitmq-server", "redis-cli", "redis-sentinel", "redis-server", "rspamd", "rsyncd", "rsyslogd", "slapd",
    "smbd", "snmpd", "spamd", "squid", "sshd", "stunnel", "supercronic", "swift", "syslog-ng", "tarantool", "tftpd",
    "tor", "tritonserver", "turnserver", "unbound", "valkey-sentinel", "valkey-server", "varnishd", "vsftpd",
    "xinetd", "zabbix_agentd", "zabbix_server",
];

/// Sorted.
#[rustfmt::skip]
const IDLE: &[&str] = &[
    "sleep", "tail", "watch",
];

/// Sorted. Most of them stand in front of the program in a script.
#[rustfmt::skip]
const TOOLS: &[&str] = &[
    ".", ":", "[", "[[", "addgroup", "adduser", "alias", "apk", "apt", "apt-get", "awk", "aws", "az", "base64",
    "basename", "break", "cat", "cd", "chgrp", "chmod", "chown", "chsh", "continue", "cp", "curl", "cut", "date",
    "dd", "declare", "df", "diff", "dig", "dirname", "dnf", "dpkg", "du", "echo", "envsubst", "exit", "export",
    "expr", "false", "find", "free", "gcloud", "getent", "git", "gpg", "grep", "groupadd", "gsutil", "gunzip",
    "gzip", "head", "host", "hostname", "id", "install", "ip", "iptables", "jq", "kill", "ldconfig", "let", "ln",
    "local", "logger", "logrotate", "ls", "md5sum", "microdnf", "mkdir", "mkfifo", "mktemp", "mount", "mv",
    "mysqladmin", "nc", "ncat", "netstat", "nproc", "nslookup", "openssl", "pg_isready", "pg_restore", "pgrep",
    "ping", "pkill", "popd", "printenv", "printf", "ps", "pushd", "pwd", "read", "readlink", "readonly", "realpath",
    "return", "rm", "rmdir", "rsync", "s3cmd", "scp", "sed", "seq", "set", "sha256sum", "shift", "shopt", "sort",
    "ssh", "ssh-keygen", "ssh-keyscan", "stat", "stty", "sync", "sysctl", "tar", "tee", "test", "touch", "tr",
    "trap", "true", "type", "ulimit", "umask", "umount", "unalias", "uname", "uniq", "unset", "unzip",
    "update-ca-certificates", "update-ca-trust", "useradd", "usermod", "uuidgen", "wait", "wc", "wget", "which",
    "whoami", "xargs", "yq", "yum", "zcat", "zip",
];

/// Sorted.
#[rustfmt::skip]
const LAUNCHERS: &[&str] = &[
    "apache2", "apache2ctl", "apachectl", "circusd", "foreman", "goreman", "hivemind", "honcho", "httpd-foreground",
    "init", "just", "make", "my_init", "overmind", "runit", "runsvdir", "s6-svscan", "service", "supervisord",
    "systemctl", "systemd", "task", "unitd",
];

/// What the program of that base name is, if it is none of ours.
pub(crate) fn native(name: &str) -> Option<Native> {
    let tables =
        [(SERVERS, Native::Server), (TOOLS, Native::Tool), (IDLE, Native::Idle), (LAUNCHERS, Native::Launcher)];
    tables.into_iter().find(|(names, _)| names.binary_search(&name).is_ok()).map(|(_, native)| native)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_apart() {
        for table in [SERVERS, IDLE, TOOLS, LAUNCHERS] {
            for pair in table.windows(2) {
                assert!(pair[0] < pair[1], "{} and {}", pair[0], pair[1]);
            }
        }
        for name in [SERVERS, IDLE, TOOLS, LAUNCHERS].concat() {
            assert!(super::super::program(name).is_none(), "{name} is a program of a language as well");
        }
    }
}
