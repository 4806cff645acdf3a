//! Protocols that this crate does not know, and noise.

use obtrace_protocols::Role;

use crate::{HINTS, Judged, Numbers};

/// One after the other; `true`: the client.
type Said = &'static [(bool, &'static [u8])];

/// What clients and servers of them say first.
#[rustfmt::skip]
const STRANGERS: [(&str, Said); 34] = [
    ("SSH", &[(false, b"SSH-2.0-OpenSSH_9.6\r\n"), (true, b"SSH-2.0-OpenSSH_9.6\r\n"), (true, b"\0\0\x05\xdc\x07\x14\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\0\0\0\x9ecurve25519-sha256")]),
    ("SMTP", &[(false, b"220 mail.example ESMTP Postfix\r\n"), (true, b"EHLO client.example\r\n"), (false, b"250-mail.example\r\n250-PIPELINING\r\n250 SIZE 10240000\r\n"), (true, b"MAIL FROM:<a@b.example>\r\n"), (false, b"250 2.1.0 Ok\r\n")]),
    ("FTP", &[(false, b"220 (vsFTPd 3.0.5)\r\n"), (true, b"USER bob\r\n"), (false, b"331 Please specify the password.\r\n"), (true, b"PASS secret\r\n"), (false, b"230 Login successful.\r\n"), (true, b"RETR a.txt\r\n")]),
    ("IMAP", &[(false, b"* OK [CAPABILITY IMAP4rev1 LITERAL+] Dovecot ready.\r\n"), (true, b"a1 LOGIN bob secret\r\n"), (false, b"a1 OK Logged in\r\n"), (true, b"a2 SELECT INBOX\r\n"), (false, b"* 3 EXISTS\r\n* FLAGS (\\Seen)\r\na2 OK [READ-WRITE] Select completed.\r\n")]),
    ("POP3", &[(false, b"+OK POP3 ready <1.2@mail.example>\r\n"), (true, b"USER bob\r\n"), (false, b"+OK\r\n"), (true, b"PASS secret\r\n"), (false, b"-ERR [AUTH] failed\r\n"), (true, b"STAT\r\n"), (false, b"+OK 2 320\r\n")]),
    ("LDAP", &[(true, b"\x30\x2a\x02\x01\x01\x60\x25\x02\x01\x03\x04\x18cn=admin,dc=example,dc=de\x80\x06secret"), (false, b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), (true, b"\x30\x25\x02\x01\x02\x63\x20\x04\0\x0a\x01\0\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0\x87\x0bobjectClass\x30\0")]),
    ("TDS", &[(true, b"\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\x22\0\x04\x04\0\x26\0\x01\xff\x11\0\0\0\0\0\x01\0\0\0\0\0\0\0"), (false, b"\x04\x01\0\x2b\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0\x21\0\x01\x03\0\x22\0\0\x04\0\x22\0\x01\xff\x0f\0\x07\xd0\0\0\x02\0\0"), (true, b"\x01\x01\0\x2a\0\0\x01\0S\0E\0L\0E\0C\0T\0 \0\x31\0F\0R\0O\0M\0 \0t\0")]),
    ("AMQP 0-9-1", &[(true, b"AMQP\0\0\x09\x01"), (false, b"\x01\0\0\0\0\0\x1e\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US\xce"), (true, b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\x07\xff\0\x02\0\0\0\x3c\xce")]),
    ("AMQP 1.0", &[(true, b"AMQP\0\x01\0\0"), (false, b"AMQP\0\x01\0\0"), (true, b"\0\0\0\x1f\x02\0\0\0\0\x53\x10\xc0\x12\x03\xa1\x03app\xa1\x09localhost\x40")]),
    ("NATS", &[(false, b"INFO {\"server_id\":\"NA\",\"version\":\"2.10.7\",\"proto\":1,\"port\":4222}\r\n"), (true, b"CONNECT {\"verbose\":false}\r\nPING\r\n"), (false, b"PONG\r\n"), (true, b"SUB orders 1\r\n"), (true, b"PUB orders 5\r\nhello\r\n"), (false, b"MSG orders 1 5\r\nhello\r\n")]),
    ("NATS, every line answered", &[(false, b"INFO {\"server_id\":\"NA\",\"version\":\"2.10.7\",\"proto\":1,\"port\":4222}\r\n"), (true, b"CONNECT {\"verbose\":true}\r\n"), (false, b"+OK\r\n"), (true, b"PING\r\n"), (false, b"PONG\r\n"), (true, b"SUB orders 1\r\n"), (false, b"+OK\r\n"), (true, b"PUB orders 5\r\nhello\r\n"), (false, b"+OK\r\nMSG orders 1 5\r\nhello\r\n"), (false, b"PING\r\n"), (true, b"PONG\r\n"), (true, b"PUB orders 5 5\r\nhello\r\n"), (false, b"-ERR 'Parser Error'\r\n")]),
    ("NATS, at once", &[(false, b"INFO {\"server_id\":\"NA\"}\r\n"), (true, b"CONNECT {\"verbose\":true}\r\nPING\r\nSUB orders 1\r\n"), (false, b"+OK\r\n"), (false, b"PONG\r\n"), (false, b"+OK\r\n"), (true, b"PING\r\nPUB orders 5\r\nhello\r\n"), (false, b"PONG\r\n"), (false, b"+OK\r\n")]),
    ("Memcached", &[(true, b"set k 0 0 5\r\nhello\r\n"), (false, b"STORED\r\n"), (true, b"get k\r\n"), (false, b"VALUE k 0 5\r\nhello\r\nEND\r\n"), (true, b"mg k v\r\n"), (false, b"VA 5\r\nhello\r\n")]),
    ("Memcached, binary", &[(true, b"\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0\0k"), (false, b"\x81\0\0\0\x04\0\0\0\0\0\0\x09\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0hello")]),
    ("Cassandra", &[(true, b"\x04\0\0\0\x05\0\0\0\0"), (false, b"\x84\0\0\0\x06\0\0\0\x1a\0\x01\0\x0bCQL_VERSION\0\x01\0\x053.4.6"), (true, b"\x04\0\0\x01\x07\0\0\0\x16\0\0\0\x0fSELECT a FROM t\0\x01\0"), (false, b"\x84\0\0\x01\x08\0\0\0\x04\0\0\0\x01")]),
    ("Thrift, framed", &[(true, b"\0\0\0\x19\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x01\x0c\0\x01\0\0\0\0\0\0"), (false, b"\0\0\0\x11\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x01\0")]),
    ("Thrift", &[(true, b"\x80\x01\0\x01\0\0\0\x07getUser\0\0\0\x01\x08\0\x01\0\0\0\x07\0"), (false, b"\x80\x01\0\x02\0\0\0\x07getUser\0\0\0\x01\x0c\0\0\0\0")]),
    ("STOMP", &[(true, b"CONNECT\naccept-version:1.2\nhost:shop\n\n\0"), (false, b"CONNECTED\nversion:1.2\n\n\0"), (true, b"SEND\ndestination:/queue/a\n\nhello\0"), (true, b"SUBSCRIBE\nid:0\ndestination:/queue/a\n\n\0")]),
    ("RTSP", &[(true, b"OPTIONS rtsp://h/stream RTSP/1.0\r\nCSeq: 1\r\n\r\n"), (false, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP\r\n\r\n")]),
    ("SIP", &[(true, b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP a.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"), (false, b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")]),
    ("BitTorrent", &[(true, b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05aaaaaaaaaaaaaaaaaaaa-TR4040-bbbbbbbbbbbb"), (false, b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05aaaaaaaaaaaaaaaaaaaa-DE2110-cccccccccccc\0\0\0\x02\x05\xff"), (true, b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\x40\0")]),
    ("X11", &[(true, b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0aaaaaaaaaaaaaaaa"), (false, b"\x01\0\x0b\0\0\0\x42\0\x90\x2e\xb8\0\0\0\x20\x06\xff\xff\x1f\0\0\x01\0\0\x14\0\xff\xff")]),
    ("VNC", &[(false, b"RFB 003.008\n"), (true, b"RFB 003.008\n"), (false, b"\x01\x02"), (true, b"\x02"), (false, b"0123456789abcdef")]),
    ("RDP", &[(true, b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=bob\r\n\x01\0\x08\0\x03\0\0\0"), (false, b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x0f\x08\0\x02\0\0\0")]),
    ("SMB", &[(true, b"\0\0\0\x4a\xfeSMB\x40\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), (false, b"\0\0\0\x4a\xfeSMB\x40\0\x01\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0\0")]),
    ("ZooKeeper", &[(true, b"\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), (false, b"\0\0\0\x25\0\0\0\0\0\0\x75\x30\x01\0\x12\x34\x56\x78\x9a\xbc\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), (true, b"\0\0\0\x0e\0\0\0\x01\0\0\0\x04\0\0\0\x01/\0")]),
    ("Oracle", &[(true, b"\0\x3a\0\0\x01\0\0\0\x01\x36\x01\x2c\0\0\x20\0\x7f\xff\xc6\x0e\0\0\x01\0(DESCRIPTION=(CONNECT_DATA=(SID=X)))"), (false, b"\0\x08\0\0\x0b\0\0\0")]),
    ("ClickHouse", &[(true, b"\0\x11ClickHouse client\x17\x08\xb2\xa9\x03\x04shop\x07default\0"), (false, b"\0\x0aClickHouse\x17\x08\xb2\xa9\x03\x03UTC\x02db\x01"), (true, b"\x01\0\x01\0\0\x02\0\x08SELECT 1\x02\0\0\0")]),
    ("Git", &[(true, b"0033git-upload-pack /project.git\0host=myserver.com\0"), (false, b"00570a53e9ddeaddad63ad106860237bbf53411d11a7 refs/heads/main\n0000")]),
    ("rsync", &[(false, b"@RSYNCD: 31.0\n"), (true, b"@RSYNCD: 31.0\nmodule\n"), (false, b"@RSYNCD: OK\n")]),
    ("Telnet", &[(false, b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27"), (true, b"\xff\xfb\x18\xff\xfc\x20\xff\xfc\x23"), (false, b"login: "), (true, b"bob\r\n")]),
    ("XMPP", &[(true, b"<?xml version='1.0'?><stream:stream to='a.example' xmlns='jabber:client' version='1.0'>"), (false, b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")]),
    ("Prometheus' remote plain text", &[(true, b"servers.a.load 0.7 1700000000\nservers.b.load 0.9 1700000000\n"), (true, b"servers.a.load 0.8 1700000010\n")]),
    ("TLS", &[(true, b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x04\x13\x01\x13\x02\x01\0"), (false, b"\x16\x03\x03\0\x2a\x02\0\0\x26\x03\x03bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\0\x13\x01\0"), (true, b"\x17\x03\x03\0\x04abcd")]),
];

const ROLES: [Option<Role>; 3] = [None, Some(Role::Client), Some(Role::Server)];

#[test]
fn what_is_not_known_stays_so() {
    let mut wrong = Vec::new();
    for (name, turns) in STRANGERS {
        for (role, hint) in ROLES.into_iter().flat_map(|role| HINTS.map(|hint| (role, hint))) {
            // From each turn on, whole and byte by byte; said again and again, as on a connection that lasts.
            for (first, size) in (0..turns.len()).flat_map(|first| [(first, usize::MAX), (first, 1)]) {
                let mut judged = Judged::new(&format!("{name}, turn {first}, pieces of {size}"), &[], role, hint);
                for _ in 0..2 {
                    for (is_client, bytes) in &turns[first..] {
                        bytes.chunks(size).for_each(|part| judged.say(*is_client, part));
                    }
                }
                wrong.extend(judged.close().err());
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}

/// Bytes that are evenly spread, and such as are mostly small numbers or mostly text.
#[test]
fn noise_is_nothing() {
    let (mut wrong, mut numbers) = (Vec::new(), Numbers(0x2545_f491_4f6c_dd1d));
    for round in 0..1500 {
        let (role, hint) = (ROLES[numbers.below(3)], HINTS[numbers.below(HINTS.len())]);
        let mut judged = Judged::new(&format!("round {round}"), &[], role, hint);
        for _ in 0..1 + numbers.below(6) {
            let length = 1 + numbers.below(400);
            let mut byte = || match round % 3 {
                0 => numbers.below(256) as u8,
                1 if numbers.below(4) > 0 => numbers.below(4) as u8,
                1 => numbers.below(128) as u8,
                _ => b" \r\netaoinshrdluGET/*$+-:.0123456789"[numbers.below(35)],
            };
            let bytes: Vec<u8> = (0..length).map(|_| byte()).collect();
            judged.say(numbers.below(2) == 0, &bytes);
        }
        wrong.extend(judged.close().err());
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}
