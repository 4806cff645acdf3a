//! The list of protocols: all that the crate says of one by its name is made of its line here.

use core::fmt;

/// Makes [`Protocol`] and [`Details`] of lines `Variant: "name", [usual ports], module::Details<'a>;`. What is written
/// about a protocol stands at both.
macro_rules! protocols {
    ($($(#[$about:meta])+ $protocol:ident: $name:literal, [$($port:literal),*], $module:ident::$details:ident<'a>;)+) => {
        /// The protocols that this crate can tell apart and parse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Protocol {
            $($(#[$about])+ $protocol,)+
        }

        impl Protocol {
            /// All of them, by name.
            pub const ALL: &'static [Self] = &[$(Self::$protocol),+];

            #[doc = concat!("The name used in output:" $(, " `", $name, "`")+, ".")]
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$protocol => $name,)+
                }
            }

            /// What is usually spoken on a port of a server: of use as a hint
            /// ([`Config::with_hint`](crate::Config::with_hint)), no more.
            ///
            /// ```
            /// use obtrace_protocols::Protocol;
            /// assert_eq!(Protocol::usual_on(5432), Some(Protocol::Postgres));
            /// assert_eq!(Protocol::usual_on(22), None);
            /// ```
            #[must_use]
            pub const fn usual_on(port: u16) -> Option<Self> {
                match port {
                    $($($port => Some(Self::$protocol),)*)+
                    _ => None,
                }
            }
        }

        /// What only one protocol has.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Details<'a> {
            $($(#[$about])+ $protocol(crate::$module::$details<'a>),)+
        }

        impl Details<'_> {
            /// Those of an exchange of which nothing is known.
            #[must_use]
            pub fn unknown(protocol: Protocol) -> Details<'static> {
                match protocol {
                    $(Protocol::$protocol => Details::$protocol(Default::default()),)+
                }
            }

            /// Whose they are.
            #[must_use]
            pub const fn protocol(&self) -> Protocol {
                match self {
                    $(Self::$protocol(_) => Protocol::$protocol,)+
                }
            }

            /// Copies what is borrowed.
            #[must_use]
            pub fn into_owned(self) -> Details<'static> {
                match self {
                    $(Self::$protocol(details) => Details::$protocol(details.into_owned()),)+
                }
            }
        }
    };
}

protocols! {
    /// DNS over UDP and TCP ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    Dns: "dns", [53], dns::DnsDetails<'a>;
    /// FastCGI 1.0 ([specification](https://fastcgi-archives.github.io/FastCGI_Specification.html)).
    FastCgi: "fastcgi", [9000], fastcgi::FastCgiDetails<'a>;
    /// gRPC over HTTP/2 ([gRPC over HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)). The
    /// connection is one of [`Protocol::Http2`].
    Grpc: "grpc", [50_051], http2::GrpcDetails<'a>;
    /// HTTP/1.0 and HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)).
    Http: "http", [80, 8000, 8080], http::HttpDetails<'a>;
    /// HTTP/2 ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113)).
    Http2: "http2", [], http2::Http2Details<'a>;
    /// Kafka ([protocol guide](https://kafka.apache.org/protocol.html)).
    Kafka: "kafka", [9092], kafka::KafkaDetails<'a>;
    /// MongoDB wire protocol: `OP_MSG` and what was before it.
    MongoDb: "mongodb", [27_017], mongodb::MongoDbDetails<'a>;
    /// MQTT 3.1.1 and 5.0.
    Mqtt: "mqtt", [1883], mqtt::MqttDetails<'a>;
    /// The client/server protocol of MySQL and MariaDB.
    MySql: "mysql", [3306], mysql::MySqlDetails<'a>;
    /// PostgreSQL frontend/backend protocol 3.0 and 3.2.
    Postgres: "postgres", [5432], postgres::PostgresDetails<'a>;
    /// Redis serialization protocol, versions 2 and 3, and inline commands.
    Redis: "redis", [6379], redis::RedisDetails<'a>;
    /// Statements of SQL on a protocol that is not known; only with
    /// [`Config::heuristic_sql`](crate::Config::heuristic_sql).
    Sql: "sql", [], sql::SqlDetails<'a>;
    /// WebSocket ([RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)) behind its HTTP upgrade.
    WebSocket: "websocket", [], websocket::WebSocketDetails<'a>;
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Details, Protocol};

    #[test]
    fn the_list_is_by_name_and_each_has_its_details() {
        assert!(Protocol::ALL.is_sorted_by_key(|protocol| protocol.name()));
        for &protocol in Protocol::ALL {
            assert_eq!(Details::unknown(protocol).into_owned().protocol(), protocol);
        }
    }
}
