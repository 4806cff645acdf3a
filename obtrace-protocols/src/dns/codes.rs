//! The numbers of DNS and their names ([IANA's tables](https://www.iana.org/assignments/dns-parameters)).

use core::fmt;

/// A table of codes: a number with constants for those that have a name.
macro_rules! codes {
    ($(#[$doc:meta])* $type:ident($number:ty) { $($(#[$item:meta])* $constant:ident = $value:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type($number);

        impl $type {
            $($(#[$item])* pub const $constant: Self = Self($value);)*

            /// The code with this number.
            #[inline]
            #[must_use]
            pub const fn new(number: $number) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> $number {
                self.0
            }

            /// Its name; `None` if it has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The type of a record, or what is asked for. Writes itself by its name, else as `TYPE123`
    /// ([RFC 3597 §5](https://www.rfc-editor.org/rfc/rfc3597#section-5)).
    RecordType(u16) {
        /// An IPv4 address.
        A = 1, "A";
        /// A name server.
        NS = 2, "NS";
        /// Another name.
        CNAME = 5, "CNAME";
        /// The start of a zone.
        SOA = 6, "SOA";
        /// A name by address.
        PTR = 12, "PTR";
        /// A host's type.
        HINFO = 13, "HINFO";
        /// A mail server.
        MX = 15, "MX";
        /// Text.
        TXT = 16, "TXT";
        /// A responsible person.
        RP = 17, "RP";
        /// AFS servers.
        AFSDB = 18, "AFSDB";
        /// A signature, obsolete.
        SIG = 24, "SIG";
        /// A key, obsolete.
        KEY = 25, "KEY";
        /// An IPv6 address.
        AAAA = 28, "AAAA";
        /// A place on earth.
        LOC = 29, "LOC";
        /// A server of a service.
        SRV = 33, "SRV";
        /// A rule to rewrite names.
        NAPTR = 35, "NAPTR";
        /// Key exchange.
        KX = 36, "KX";
        /// A certificate.
        CERT = 37, "CERT";
        /// Another name for a subtree.
        DNAME = 39, "DNAME";
        /// EDNS.
        OPT = 41, "OPT";
        /// A delegation's key.
        DS = 43, "DS";
        /// An SSH key's fingerprint.
        SSHFP = 44, "SSHFP";
        /// An IPsec key.
        IPSECKEY = 45, "IPSECKEY";
        /// A signature.
        RRSIG = 46, "RRSIG";
        /// The next name.
        NSEC = 47, "NSEC";
        /// A zone's key.
        DNSKEY = 48, "DNSKEY";
        /// A DHCP client's identity.
        DHCID = 49, "DHCID";
        /// The next name, hashed.
        NSEC3 = 50, "NSEC3";
        /// How names are hashed.
        NSEC3PARAM = 51, "NSEC3PARAM";
        /// A TLS certificate's fingerprint.
        TLSA = 52, "TLSA";
        /// An S/MIME certificate's fingerprint.
        SMIMEA = 53, "SMIMEA";
        /// A delegation's key, by the child.
        CDS = 59, "CDS";
        /// A zone's key, by the child.
        CDNSKEY = 60, "CDNSKEY";
        /// An OpenPGP key.
        OPENPGPKEY = 61, "OPENPGPKEY";
        /// What a child wants its parent to copy.
        CSYNC = 62, "CSYNC";
        /// A zone's digest.
        ZONEMD = 63, "ZONEMD";
        /// How to reach a service.
        SVCB = 64, "SVCB";
        /// How to reach a web server.
        HTTPS = 65, "HTTPS";
        /// Who may send mail, obsolete.
        SPF = 99, "SPF";
        /// A key for a transaction.
        TKEY = 249, "TKEY";
        /// A transaction's signature.
        TSIG = 250, "TSIG";
        /// What has changed in a zone.
        IXFR = 251, "IXFR";
        /// A whole zone.
        AXFR = 252, "AXFR";
        /// Any type.
        ANY = 255, "ANY";
        /// A URI.
        URI = 256, "URI";
        /// Who may issue certificates.
        CAA = 257, "CAA";
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

codes! {
    /// The result of a query, with the upper bits of EDNS.
    Rcode(u16) {
        /// No error.
        NOERROR = 0, "NOERROR";
        /// The query could not be read.
        FORMERR = 1, "FORMERR";
        /// The server could not answer.
        SERVFAIL = 2, "SERVFAIL";
        /// The name does not exist.
        NXDOMAIN = 3, "NXDOMAIN";
        /// The server does not do this.
        NOTIMP = 4, "NOTIMP";
        /// The server does not want to.
        REFUSED = 5, "REFUSED";
        /// A name exists that should not.
        YXDOMAIN = 6, "YXDOMAIN";
        /// A record exists that should not.
        YXRRSET = 7, "YXRRSET";
        /// A record does not exist that should.
        NXRRSET = 8, "NXRRSET";
        /// The server is not responsible, or the query not authorised.
        NOTAUTH = 9, "NOTAUTH";
        /// The name is not in the zone.
        NOTZONE = 10, "NOTZONE";
        /// Stateful operation of an unknown type.
        DSOTYPENI = 11, "DSOTYPENI";
        /// EDNS of an unknown version, or a wrong signature.
        BADVERS = 16, "BADVERS";
        /// An unknown key.
        BADKEY = 17, "BADKEY";
        /// A signature out of its time.
        BADTIME = 18, "BADTIME";
        /// A bad mode of key exchange.
        BADMODE = 19, "BADMODE";
        /// The name of a key that exists.
        BADNAME = 20, "BADNAME";
        /// An unknown algorithm.
        BADALG = 21, "BADALG";
        /// A signature cut too short.
        BADTRUNC = 22, "BADTRUNC";
        /// A cookie that is wrong or missing.
        BADCOOKIE = 23, "BADCOOKIE";
    }
}

codes! {
    /// What a query wants done.
    Opcode(u8) {
        /// A standard query.
        QUERY = 0, "QUERY";
        /// An inverse query, obsolete.
        IQUERY = 1, "IQUERY";
        /// A server's state.
        STATUS = 2, "STATUS";
        /// A zone has changed.
        NOTIFY = 4, "NOTIFY";
        /// Change a zone.
        UPDATE = 5, "UPDATE";
        /// Stateful operations.
        DSO = 6, "DSO";
    }
}
