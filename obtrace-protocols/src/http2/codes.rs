//! Error codes of HTTP/2 and status codes of gRPC.

use core::fmt;

macro_rules! codes {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $code:literal $constant:ident)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            $($(#[$inner])* pub const $constant: Self = Self($code);)*

            /// The code of a number; any may come.
            #[must_use]
            pub const fn new(code: u32) -> Self {
                Self(code)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The name that its specification gives it; `None` if it gives none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($constant)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => self.0.fmt(f),
                }
            }
        }
    };
}

codes! {
    /// Why a stream or a connection was ended ([RFC 9113 §7](https://www.rfc-editor.org/rfc/rfc9113#section-7)).
    ///
    /// ```
    /// use obtrace_protocols::http2::ErrorCode;
    /// assert_eq!(ErrorCode::new(8), ErrorCode::CANCEL);
    /// assert_eq!(ErrorCode::CANCEL.to_string(), "CANCEL");
    /// assert_eq!(ErrorCode::new(99).to_string(), "99");
    /// ```
    ErrorCode {
        /// No error.
        0 NO_ERROR
        /// The other side broke the protocol.
        1 PROTOCOL_ERROR
        /// Something failed inside.
        2 INTERNAL_ERROR
        /// The other side sent more than it was allowed.
        3 FLOW_CONTROL_ERROR
        /// Settings were not acknowledged in time.
        4 SETTINGS_TIMEOUT
        /// A frame came for a stream that was closed.
        5 STREAM_CLOSED
        /// A frame has a wrong size.
        6 FRAME_SIZE_ERROR
        /// Nothing was done with the request.
        7 REFUSED_STREAM
        /// Nobody wants the stream any more.
        8 CANCEL
        /// The header table is out of step.
        9 COMPRESSION_ERROR
        /// The connection of a CONNECT request was ended.
        10 CONNECT_ERROR
        /// The other side asks for too much.
        11 ENHANCE_YOUR_CALM
        /// The transport is not safe enough.
        12 INADEQUATE_SECURITY
        /// The request wants HTTP/1.1.
        13 HTTP_1_1_REQUIRED
    }
}

codes! {
    /// How a gRPC call ended ([status codes](https://grpc.io/docs/guides/status-codes/)).
    GrpcStatus {
        /// Success.
        0 OK
        /// The caller cancelled it.
        1 CANCELLED
        /// Nobody knows.
        2 UNKNOWN
        /// The caller gave an argument that is wrong whatever the state.
        3 INVALID_ARGUMENT
        /// The deadline came first.
        4 DEADLINE_EXCEEDED
        /// What was asked for is not there.
        5 NOT_FOUND
        /// What was to be made is there.
        6 ALREADY_EXISTS
        /// The caller may not.
        7 PERMISSION_DENIED
        /// Something is used up.
        8 RESOURCE_EXHAUSTED
        /// The state does not allow it.
        9 FAILED_PRECONDITION
        /// It was aborted, by a conflict for example.
        10 ABORTED
        /// It went past the range that is valid.
        11 OUT_OF_RANGE
        /// The method is not there.
        12 UNIMPLEMENTED
        /// The system is broken.
        13 INTERNAL
        /// The service is not there at the moment.
        14 UNAVAILABLE
        /// Data is lost.
        15 DATA_LOSS
        /// Nobody knows who the caller is.
        16 UNAUTHENTICATED
    }
}

impl GrpcStatus {
    /// What a reset of the stream means to a caller who got no status
    /// ([gRPC over HTTP2, Errors](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors)).
    pub(super) const fn of_reset(code: ErrorCode) -> Self {
        match code {
            ErrorCode::REFUSED_STREAM => Self::UNAVAILABLE,
            ErrorCode::CANCEL => Self::CANCELLED,
            ErrorCode::ENHANCE_YOUR_CALM => Self::RESOURCE_EXHAUSTED,
            ErrorCode::INADEQUATE_SECURITY => Self::PERMISSION_DENIED,
            ErrorCode::NO_ERROR
            | ErrorCode::PROTOCOL_ERROR
            | ErrorCode::INTERNAL_ERROR
            | ErrorCode::FLOW_CONTROL_ERROR
            | ErrorCode::SETTINGS_TIMEOUT
            | ErrorCode::FRAME_SIZE_ERROR
            | ErrorCode::COMPRESSION_ERROR
            | ErrorCode::CONNECT_ERROR => Self::INTERNAL,
            _ => Self::UNKNOWN,
        }
    }

    /// What an answer without a status means
    /// ([HTTP to gRPC](https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md)).
    pub(super) const fn of_http(status: u16) -> Self {
        match status {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502 | 503 | 504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// Whether it is an error of the server: what the conventions for
    /// [gRPC servers](https://opentelemetry.io/docs/specs/semconv/rpc/grpc/) list. To a client all but `OK` is one.
    pub(super) const fn is_error_of_server(self) -> bool {
        matches!(
            self,
            Self::UNKNOWN
                | Self::DEADLINE_EXCEEDED
                | Self::UNIMPLEMENTED
                | Self::INTERNAL
                | Self::UNAVAILABLE
                | Self::DATA_LOSS
        )
    }
}
