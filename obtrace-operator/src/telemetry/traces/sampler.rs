//! Which traces are kept.

use obtrace_export::model::TraceId;

/// What of a trace's id decides: its last 56 bits, which are random in every trace of
/// [Trace Context level 2](https://www.w3.org/TR/trace-context-2/#random-trace-id-flag).
const BITS: u32 = 56;

/// Decides which traces are kept: those of a parent as that was decided if it is asked, others by their ids, as the loaders and the agent do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sampler {
    /// Whether a parent decides.
    by_parent: bool,
    /// Of those that nobody has decided of, these ids below are kept.
    below: u64,
}

impl Sampler {
    /// `parentbased_always_on`, the usual one.
    pub(super) const USUAL: Self = Self { by_parent: true, below: 1 << BITS };

    /// The one that [`OTEL_TRACES_SAMPLER`](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration)
    /// names, with that ratio where it takes one; `None` if that is none of these.
    pub(super) fn named(name: &str, ratio: f64) -> Option<Self> {
        let (by_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" if ratio.is_nan() => 1.0,
            "traceidratio" => ratio,
            _ => return None,
        };
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let below = (ratio.clamp(0.0, 1.0) * Self::USUAL.below as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and between 0 and 2^56")]
        Some(Self { by_parent, below: below as u64 })
    }

    /// Whether a trace is kept, of which a parent has decided that.
    pub(super) fn keeps(self, trace: TraceId, parent: Option<bool>) -> bool {
        let [.., a, b, c, d, e, f, g] = trace.to_bytes();
        let own = || u64::from_be_bytes([0, a, b, c, d, e, f, g]) < self.below;
        parent.filter(|_| self.by_parent).unwrap_or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decisions_are_those_of_the_loaders() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../obtrace-loaders/testdata/sampling.json");
        let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(cases.len() >= 19);
        for case in cases {
            let Ok(ratio) = case["ratio"].as_str().unwrap().trim().parse::<f64>() else { continue };
            let id = u128::from_str_radix(case["trace_id"].as_str().unwrap(), 16).unwrap();
            let sampler = Sampler::named("traceidratio", ratio).unwrap();
            assert_eq!(sampler.keeps(TraceId::from_bytes(id.to_be_bytes()), None), case["sampled"], "{case}");
        }
    }

    #[test]
    fn parents_decide_where_they_are_asked() {
        let id = TraceId::from_bytes([0x7f; 16]);
        for (name, root, sampled, unsampled) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("traceidratio", true, true, true),
            ("parentbased_always_on", true, true, false),
            ("parentbased_always_off", false, true, false),
            ("parentbased_traceidratio", true, true, false),
        ] {
            let sampler = Sampler::named(name, 0.5).unwrap();
            let kept = [None, Some(true), Some(false)].map(|parent| sampler.keeps(id, parent));
            assert_eq!(kept, [root, sampled, unsampled], "{name}");
        }
        assert_eq!(Sampler::named("parentbased_always_on", 0.1), Some(Sampler::USUAL));
        assert_eq!(Sampler::named("jaeger_remote", 1.0), None);
    }
}
