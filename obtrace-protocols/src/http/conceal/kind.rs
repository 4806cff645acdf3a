//! What of a field may be told, by what it is.

use alloc::string::String;

use super::{authority, field, forms, path, query, target};
use crate::credential::are_registered;

/// What a part of a head is, in whatever protocol it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A target of a request.
    Target,
    /// A path, and maybe a query behind it.
    Path,
    Query,
    /// What a program says of itself.
    Agent,
    /// Host and port.
    Authority,
    /// A list of addresses.
    Addresses,
    Scheme,
    MediaType,
    /// A list of names of protocols or codings.
    Registered,
    /// What holds no secret.
    Harmless,
}

impl Kind {
    /// What of a value may be told; `None`: nothing. `is_cut`: there was more of it. Where the kind is known when the
    /// crate is compiled, here and below, only its arm is left.
    #[inline(always)]
    pub(crate) fn known(self, value: &[u8], is_cut: bool) -> Option<&[u8]> {
        match self {
            // Of one that is cut nobody knows whether a password comes first, or what it is.
            Self::Authority | Self::Scheme if is_cut => None,
            Self::Authority => Some(authority(value)),
            Self::Addresses => Some(value).filter(|value| forms::is_addresses(value)),
            Self::Scheme => Some(value).filter(|value| forms::is_scheme(value)),
            Self::MediaType => Some(forms::media_type(value)).filter(|value| !value.is_empty()),
            Self::Registered => Some(value).filter(|value| are_registered(value)),
            Self::Target | Self::Path | Self::Query | Self::Agent | Self::Harmless => Some(value),
        }
    }

    /// Conceals what is secret in that, which is the text from `from` on.
    #[inline(always)]
    pub(crate) fn conceal(self, text: &mut String, from: usize, is_cut: bool) {
        match self {
            Self::Target => target(text, from, is_cut),
            Self::Path => path(text, from, is_cut),
            Self::Query => query(text, from, is_cut),
            Self::Agent => field(text, from, is_cut),
            _ => {}
        }
    }
}
