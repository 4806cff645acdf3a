//! Is it Redis? The type characters of RESP are common text, so that one of them is no evidence.

use super::{
    command::{Keys, Spec, Word},
    request::Words,
    resp::{self, Walker},
};
use crate::detect::Verdict;

/// Most bytes of a side that are looked at.
const LOOK: usize = 256;
/// Commands that other line protocols have too, in the same words.
const SHARED: [&str; 8] = ["AUTH", "QUIT", "APPEND", "TYPE", "INFO", "TIME", "SELECT", "EXEC"];

/// Looks at what the client and the server began with. An array of strings whose first one may be the name of a
/// command is taken for Redis; a line of words only together with an
/// answer that frames and that the command may have.
pub(crate) fn matches(client: &[u8], server: &[u8]) -> Verdict {
    let client = client.get(..LOOK.min(client.len())).unwrap_or_default();
    let server = server.get(..LOOK.min(server.len())).unwrap_or_default();
    match client.first() {
        Some(b'*') => match command(client) {
            Found::Known => Verdict::Yes,
            Found::Plausible if replies(server) != Verdict::No => Verdict::Yes,
            Found::Plausible => Verdict::Likely,
            Found::Partial => Verdict::Maybe,
            Found::No => Verdict::No,
        },
        Some(first) if first.is_ascii_alphabetic() => inline(client, server),
        Some(_) => Verdict::No,
        None => pushes(server),
    }
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A command with a name that is known.
    Known,
    /// An array of strings, the first of which could be a name.
    Plausible,
    /// It may become a command.
    Partial,
    No,
}

/// Whether a command begins here. Bounded: looks at the name and the head of what follows it.
pub(super) fn command(bytes: &[u8]) -> Found {
    let Some((b'*', rest)) = bytes.split_first() else { return Found::No };
    let (count, used) = match resp::number(rest) {
        Ok(Some((count, used))) if (1..=1 << 20).contains(&count) => (count, used),
        Ok(None) if rest.len() < 12 => return Found::Partial,
        _ => return Found::No,
    };
    let rest = rest.get(used..).unwrap_or_default();
    let Some((&first, rest)) = rest.split_first() else { return Found::Partial };
    if first != b'$' {
        return Found::No;
    }
    let (length, used) = match resp::number(rest) {
        Ok(Some((length, used))) if (1..=64).contains(&length) => (length, used),
        Ok(None) if rest.len() < 6 => return Found::Partial,
        _ => return Found::No,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let rest = rest.get(used..).unwrap_or_default();
    let name = rest.get(..length.min(rest.len())).unwrap_or_default();
    let is_name = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'|');
    if name.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) || !name.iter().all(is_name) {
        return Found::No;
    }
    let next: &[u8] = if count > 1 { b"\r\n$" } else { b"\r\n" };
    let rest = rest.get(length..).unwrap_or_default();
    let here = next.len().min(rest.len());
    if next.get(..here) != rest.get(..here) {
        return Found::No;
    }
    if here < next.len() {
        return Found::Partial;
    }
    // These are what a server sends to a subscriber.
    if [&b"message"[..], b"pmessage", b"smessage"].contains(&name) {
        return Found::No;
    }
    if name.ends_with(b"subscribe") && is_confirmation(rest) {
        return Found::No;
    }
    if Word::name(name).is_some_and(|word| word.spec().is_some()) { Found::Known } else { Found::Plausible }
}

/// After the name of a subscription: a channel, and then a number instead of another channel.
fn is_confirmation(rest: &[u8]) -> bool {
    let mut channel = Walker::new(rest.get(2..).unwrap_or_default());
    let walked = channel.next_element().is_ok_and(|element| element.is_some());
    walked && rest.get(channel.position().saturating_add(2)) == Some(&b':')
}

/// A line of words. Nothing but the answer tells it from other protocols of lines.
fn inline(client: &[u8], server: &[u8]) -> Verdict {
    let Some(end) = client.iter().position(|&byte| byte == b'\n') else {
        let word = client.split(|&byte| byte <= b' ').next().unwrap_or_default();
        let printable = client.iter().all(|&byte| (b' '..0x7f).contains(&byte) || byte == b'\r');
        let is_word = word.iter().all(|byte| byte.is_ascii_alphanumeric());
        let known = word.len() == client.len() || known(word).is_some();
        return if printable && is_word && known && client.len() < LOOK { Verdict::Maybe } else { Verdict::No };
    };
    let line = client.get(..end).unwrap_or_default();
    let mut words = Words(line);
    let Some(spec) = words.next().and_then(known) else { return Verdict::No };
    let needs_key = matches!(spec.keys, Keys::Range(1.., ..));
    // Servers ignore empty lines.
    let next = client.iter().skip(end).find(|byte| !matches!(byte, b'\r' | b'\n'));
    let is_left = next.is_some_and(|&next| !next.is_ascii_alphabetic() && next != b'*');
    if is_left || needs_key && words.next().is_none() {
        // It is the name of a command in an array whose front was lost.
        return Verdict::No;
    }
    if line.windows(7).any(|window| window == b" HTTP/1") || SHARED.contains(&spec.name) {
        return Verdict::No;
    }
    match replies(server) {
        Verdict::Yes if spec.name == "PING" && server.starts_with(b"+PONG\r\n") => Verdict::Yes,
        Verdict::Yes if answers(spec, server) => Verdict::Likely,
        Verdict::Yes => Verdict::No,
        verdict => verdict,
    }
}

fn known(word: &[u8]) -> Option<&'static Spec> {
    Word::name(word).and_then(|word| word.spec())
}

/// Whether what the server's bytes begin with may answer this command. NATS has a PING too, and says `+OK` to other
/// lines; its errors are in quotes.
fn answers(spec: &Spec, server: &[u8]) -> bool {
    let Ok(Some(first)) = Walker::new(server).next_element() else { return true };
    let is_queued = first.text == b"QUEUED";
    let is_ping = spec.name == "PING" && !is_queued && matches!(first.kind, resp::Kind::SimpleString);
    !is_ping && !server.starts_with(b"-ERR '") && spec.answer.allows(first.kind, is_queued)
}

/// Whether the server's bytes begin with an answer. One that is longer than what is looked at is taken for one.
fn replies(server: &[u8]) -> Verdict {
    let mut walker = Walker::new(server);
    while let Ok(element) = walker.next_element() {
        if element.is_none() {
            return if walker.is_complete() || server.len() >= LOOK { Verdict::Yes } else { Verdict::Maybe };
        }
    }
    Verdict::No
}

/// Nothing was seen of the client: a subscriber, perhaps.
fn pushes(server: &[u8]) -> Verdict {
    if server.is_empty() {
        return Verdict::No;
    }
    let mut walker = Walker::new(server);
    let (Ok(Some(top)), Ok(first)) = (walker.next_element(), walker.next_element()) else { return alone(server) };
    let Some(first) = first else { return alone(server) };
    let is_push = matches!(top.kind, resp::Kind::Push) && first.text.iter().all(u8::is_ascii_alphanumeric);
    let is_message = match (top.kind, top.count) {
        (resp::Kind::Array, 3) => matches!(first.text, b"message" | b"smessage") || is_subscription(first.text),
        (resp::Kind::Array, 4) => first.text == b"pmessage",
        _ => false,
    };
    if (is_push && !first.text.is_empty()) || is_message { Verdict::Yes } else { alone(server) }
}

/// An answer of which the command was not seen proves nothing: the client has to speak first.
fn alone(server: &[u8]) -> Verdict {
    match replies(server) {
        Verdict::No => Verdict::No,
        _ => Verdict::Maybe,
    }
}

fn is_subscription(word: &[u8]) -> bool {
    word.strip_suffix(b"subscribe").is_some_and(|kind| matches!(kind, b"" | b"p" | b"s" | b"un" | b"pun" | b"sun"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_whole_and_in_any_prefix() {
        let command = b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n";
        assert_eq!(matches(command, b""), Verdict::Yes);
        for end in 1..command.len() {
            let verdict = matches(&command[..end], b"");
            assert!(matches!(verdict, Verdict::Maybe | Verdict::Yes), "{end}: {verdict:?}");
        }
        assert_eq!(matches(b"*2\r\n$9\r\nFT.SEARCH\r\n$1\r\n", b""), Verdict::Yes);
        assert_eq!(matches(b"*1\r\n$4\r\nPING\r\n", b"HTTP/1.1 400 Bad Request\r\n"), Verdict::Yes);
    }

    #[test]
    fn what_is_not_a_command_is_not() {
        for client in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"*\r\n",
            b"* OK IMAP4rev1 ready\r\n",
            b"*3 things\r\n",
            b"*3\r\n:1\r\n",
            b"*3\r\n$3\r\nSET\r\n:1\r\n",
            b"*0\r\n",
            b"*1\r\n$4\r\nP NG\r\n",
            b"EHLO mail.example.com\r\n",
            b"MAIL FROM:<a@example.com>\r\n",
            b"QUIT\r\n",
            b"AUTH PLAIN AGEAYg==\r\n",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"Q\x00\x00\x00\x0dSELECT 1\x00",
            b"+OK\r\n",
            b"$5\r\nhello\r\n",
        ] {
            assert_eq!(matches(client, b""), Verdict::No, "{}", client.escape_ascii());
        }
    }

    #[test]
    fn a_line_needs_an_answer() {
        assert_eq!(matches(b"PING\r\n", b""), Verdict::Maybe);
        assert_eq!(matches(b"PING\r\n", b"+PONG\r\n"), Verdict::Yes);
        assert_eq!(matches(b"PING\r\n", b"PONG\r\n"), Verdict::No);
        assert_eq!(matches(b"PING\r\n", b"+OK\r\n"), Verdict::No);
        assert_eq!(matches(b"PING\r\n", b"-ERR 'Stale Connection'\r\n"), Verdict::No);
        assert_eq!(matches(b"PING\r\n", b"-NOAUTH Authentication required.\r\n"), Verdict::Likely);
        assert_eq!(matches(b"PING\r\n", b"+QUEUED\r\n"), Verdict::Likely);
        assert_eq!(matches(b"hello\r\n", b"+OK\r\n"), Verdict::No);
        assert_eq!(matches(b"get key\r\n", b"+QUEUED\r\n"), Verdict::Likely);
        assert_eq!(matches(b"get key\r\n", b"VALUE key 0 1\r\nx\r\nEND\r\n"), Verdict::No);
        assert_eq!(matches(b"get key\r\n", b"$1\r\nx\r\n"), Verdict::Likely);
        assert_eq!(matches(b"get key\r\n", &[b"$5000\r\n", &[b'x'; LOOK][..]].concat()), Verdict::Likely);
        assert_eq!(matches(b"GET\r\n$1\r\nk\r\n", b"$1\r\nv\r\n"), Verdict::No);
        assert_eq!(matches(b"get\r\n", b""), Verdict::No);
        assert_eq!(matches(b"PING\r\n\r\n", b"+PONG\r\n"), Verdict::Yes);
        assert_eq!(matches(b"SET a b\r\n\r\nGET a\r\n", b"+OK\r\n$1\r\nb\r\n"), Verdict::Likely);
        assert_eq!(matches(b"GET\r\n\r\n$1\r\nk\r\n", b"$1\r\nv\r\n"), Verdict::No);
        assert_eq!(matches(b"ECHO a\r\n$4\r\n", b"$1\r\nv\r\n"), Verdict::No);
        assert_eq!(matches(b"get key\r\nget k\r\n", b"$1\r\nx\r\n"), Verdict::Likely);
        assert_eq!(matches(b"TYPE I\r\n", b"200 ok\r\n"), Verdict::No);
        assert_eq!(matches(b"", b"+OK POP3 ready\r\n"), Verdict::Maybe);
    }

    #[test]
    fn a_subscriber_is_found_by_what_it_is_sent() {
        assert_eq!(matches(b"", b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nx\r\n"), Verdict::Yes);
        assert_eq!(matches(b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nx\r\n", b""), Verdict::No);
        assert_eq!(matches(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n", b""), Verdict::No);
        assert_eq!(matches(b"*2\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n", b""), Verdict::Yes);
        assert_eq!(matches(b"", b">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nx\r\n"), Verdict::Yes);
        assert_eq!(matches(b"", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"), Verdict::Maybe);
    }
}
