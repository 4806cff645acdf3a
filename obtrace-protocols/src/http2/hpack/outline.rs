//! Whether bytes of which nobody knows what they are look like a header block.

use super::{integer::integer, statics, statics::Name, string};

/// What a header block seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Outline {
    /// It begins with a field that only requests have.
    Request,
    /// It begins with `:status`.
    Response,
    /// It begins with something else: trailers, or what refers to the table.
    Other,
}

/// So many fields are looked at: enough that chance gives no such bytes, few enough to do it for each byte.
const MOST: usize = 8;

/// Goes over the first fields of a block without a table. `None`: it is none.
pub(in super::super) fn outline(block: &[u8]) -> Option<Outline> {
    let (found, is_whole) = walk(block);
    found.filter(|_| is_whole)
}

/// The same of the first part of a block.
pub(in super::super) fn outline_of_part(block: &[u8]) -> Option<Outline> {
    walk(block).0
}

/// What the first field is, and whether all that were looked at are fields.
fn walk(block: &[u8]) -> (Option<Outline>, bool) {
    let mut found = None;
    let is_whole = fields(block, &mut found).is_some();
    (found, is_whole)
}

fn fields(block: &[u8], found: &mut Option<Outline>) -> Option<()> {
    let mut at = 0;
    for _ in 0..MOST {
        let Some(&first) = block.get(at) else { break };
        let prefix = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let index = integer(block, &mut at, prefix).ok()?;
        if prefix == 5 {
            // Only in front of all fields.
            if found.is_some() {
                return None;
            }
            continue;
        }
        if prefix != 7 {
            if index == 0 {
                let name = string(block, &mut at).ok()?;
                if name.bytes.is_empty() {
                    return None;
                }
            }
            string(block, &mut at).ok()?;
        } else if index == 0 {
            return None;
        }
        let kind = match statics::line(index).map(|line| line.name) {
            Some(Name::Authority | Name::Method | Name::Path | Name::Scheme) => Outline::Request,
            Some(Name::Status) => Outline::Response,
            _ => Outline::Other,
        };
        *found = found.or(Some(kind));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        assert_eq!(outline(b"\x82\x86\x84\x41\x01h"), Some(Outline::Request));
        assert_eq!(outline(b"\x3f\xe1\x1f\x88\x0f\x0d\x0212"), Some(Outline::Response));
        assert_eq!(outline(b"\xbe\xbf"), Some(Outline::Other));
        assert_eq!(outline(b"\x00\x0bgrpc-status\x010"), Some(Outline::Other));
        for no in
            [&b""[..], b"\x80", b"\x82\x41\x05h", b"\x20", b"\x82\x20", b"\x00\x00\x01a", b"\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(outline(no), None, "{no:?}");
        }
        assert_eq!(outline_of_part(b"\x82\x41\x05h"), Some(Outline::Request));
        assert_eq!(outline_of_part(b"\x41\x05h"), None);
    }
}
