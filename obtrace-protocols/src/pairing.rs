//! Whether responses are known to be in step with requests, for protocols that answer in order.
//!
//! Two directions that lost bytes are out of step: nobody knows how many messages were among them. What was asked
//! before the loss is still answered in order. What comes after it is paired *on trial* from a moment at which nothing
//! is known to be under way. The trial is confirmed when the client next begins a request with nothing under way and
//! every request since had exactly one answer: an answer that was still owed to a lost request would be one too many.
//! It is refuted by an answer too many or by another loss. Of a client that was seen to take turns before, and never
//! to send a request before the last one was answered, an exchange on trial that is over is confirmed by a loss, too.

use crate::Timestamp;

/// How long both sides must be silent, in nanoseconds, before nothing is believed to be under way.
const QUIET: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    InStep,
    /// Nothing is known of what is asked from here on.
    Adrift,
    Trial {
        /// It began at a request, not at an answer behind a loss.
        whole: bool,
    },
}

/// What is known of a request's answer when it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the next one that no request before it takes.
    #[default]
    Certain,
    /// The same, if the trial is confirmed.
    OnTrial,
    /// Nobody can tell it from others.
    Unknown,
}

/// What becomes of the exchanges on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// They wait, or there are none.
    Open,
    /// They are as they were paired.
    Confirmed,
    /// Nobody knows their answers.
    Refuted,
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pairing {
    phase: Phase,
    /// The client was seen, in step, to send a request only after the one before it was answered.
    takes_turns: bool,
    /// It was seen, in step, to send a request before the one before it was answered.
    pipelines: bool,
    /// An answer ended since the last request began.
    heard: bool,
    last: Timestamp,
}

impl Pairing {
    pub(crate) const fn is_in_step(&self) -> bool {
        matches!(self.phase, Phase::InStep)
    }

    pub(crate) const fn is_on_trial(&self) -> bool {
        matches!(self.phase, Phase::Trial { .. })
    }

    /// Something was lost, and nothing was tried since.
    pub(crate) const fn is_adrift(&self) -> bool {
        matches!(self.phase, Phase::Adrift)
    }

    pub(crate) const fn pipelines(&self) -> bool {
        self.pipelines
    }

    /// A request begins. `idle`: nothing is known to be under way.
    #[inline]
    pub(crate) fn begin(&mut self, idle: bool, at: Timestamp) -> (Verdict, Place) {
        let heard = core::mem::take(&mut self.heard);
        self.last = self.last.max(at);
        match self.phase {
            Phase::InStep => {
                self.takes_turns |= idle && heard;
                (Verdict::Open, Place::Certain)
            }
            Phase::Trial { .. } if idle && heard => {
                self.phase = Phase::InStep;
                (Verdict::Confirmed, Place::Certain)
            }
            Phase::Trial { .. } => (Verdict::Open, Place::OnTrial),
            Phase::Adrift if idle => {
                self.phase = Phase::Trial { whole: true };
                (Verdict::Open, Place::OnTrial)
            }
            Phase::Adrift => (Verdict::Open, Place::Unknown),
        }
    }

    /// An answer ended.
    #[inline]
    pub(crate) fn hear(&mut self, at: Timestamp) {
        self.heard = true;
        self.last = self.last.max(at);
    }

    /// A request began before the one before it was answered.
    #[inline]
    pub(crate) fn note_overlap(&mut self) {
        self.pipelines |= self.is_in_step();
    }

    /// Messages of either side may have been lost. `idle`: every request so far was answered.
    pub(crate) fn lose(&mut self, idle: bool) -> Verdict {
        let trusted = idle && self.takes_turns && !self.pipelines;
        match core::mem::replace(&mut self.phase, Phase::Adrift) {
            Phase::Trial { whole: true } if trusted => Verdict::Confirmed,
            Phase::Trial { .. } => Verdict::Refuted,
            _ => Verdict::Open,
        }
    }

    /// An answer behind a loss can only be that of the newest request: a trial of it begins.
    pub(crate) fn try_newest(&mut self) {
        if matches!(self.phase, Phase::Adrift) {
            self.phase = Phase::Trial { whole: false };
        }
    }

    /// Something of the connection was seen.
    pub(crate) fn touch(&mut self, at: Timestamp) {
        self.last = self.last.max(at);
    }

    /// An answer that nothing asked for.
    pub(crate) fn surplus(&mut self) -> Verdict {
        if self.is_on_trial() {
            self.phase = Phase::Adrift;
            return Verdict::Refuted;
        }
        Verdict::Open
    }

    /// Nothing more can come that would refute a trial.
    pub(crate) fn settle(&mut self) -> Verdict {
        let on_trial = self.is_on_trial();
        self.phase = Phase::InStep;
        if on_trial { Verdict::Confirmed } else { Verdict::Open }
    }

    /// When silence will say that nothing is under way, if that is not known.
    pub(crate) fn quiet_at(&self) -> Option<Timestamp> {
        (!self.is_in_step()).then(|| self.last.saturating_add(QUIET))
    }

    /// A message is under way: it is not silent.
    pub(crate) fn wait_longer(&mut self) {
        self.last = self.last.saturating_add(QUIET);
    }
}
