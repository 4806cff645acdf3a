//! What observes one exchange.

use alloc::boxed::Box;
use core::fmt::Debug;

use super::{
    Call, Payload, Request, Response, Unread,
    body::{Body, Form, Found, Limits},
    json::{Node, Value},
};
use crate::{Config, Timestamp, parser::Side};

/// Longest name that is kept: of a model, a collection, an id.
const MAX_NAME: usize = 256;

/// Which kind of payload an observer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindOf {
    GenAi,
    Retrieval,
}

/// Looks at the bodies of one exchange as they pass.
pub(crate) trait Observer: Debug + Send {
    fn kind(&self) -> KindOf;

    /// Begins with another exchange.
    fn begin(&mut self, call: Call<'_>, request: &Request<'_>, config: &Config);

    /// Whether more of this side's body is wanted. If not, it need not be captured.
    fn wants(&self, side: Side) -> bool;

    /// The next bytes of a body, framing taken away; the newest of them passed at this time.
    fn body(&mut self, side: Side, bytes: &[u8], at: Timestamp);

    /// Bytes of a body are missing.
    fn lose(&mut self, side: Side);

    /// Whether bytes of a body are missing.
    fn has_lost(&self, side: Side) -> bool;

    /// A body is over.
    fn end(&mut self, side: Side);

    /// The head of the response. May come while the body of the request is on its way.
    fn response(&mut self, head: &Response<'_>);

    /// What was taken for the response is none: forgets what it said.
    fn abandon(&mut self);

    /// What was found, if it is what the head of the request promised.
    #[expect(
        clippy::borrowed_box,
        reason = "what is borrowed as a box can be told as it is, and owned without another one"
    )]
    fn payload(&self) -> Option<&Box<Payload>>;

    /// Looks how many heap bytes are held.
    fn measure(&mut self) -> usize;

    /// As many as were held when that was last asked for; 0 before.
    fn memory(&self) -> usize;

    /// Says how many may be.
    fn allow(&mut self, most: usize);
}

/// What one kind of payload makes of the values in the bodies.
pub(super) trait Subject: Debug + Default + Send {
    type Field: Copy + Debug + Send + Sync + 'static;
    const KIND: KindOf;

    /// A request begins, known by its head so far. `contents`: most bytes of contents, 0 if they are not asked for.
    fn begin(&mut self, payload: &mut Payload, call: Call<'_>, request: &Request<'_>, contents: usize);

    /// What is of interest in the documents of a side.
    fn shape(&self, side: Side) -> &'static Node<Self::Field>;

    /// A value of the document that is being read.
    fn value(&mut self, payload: &mut Payload, side: Side, field: Self::Field, value: Value<'_>);

    /// The document is over, or will not be read to its end.
    fn document(&mut self, payload: &mut Payload, side: Side, at: Timestamp);

    /// The body of a side is over.
    fn over(&mut self, payload: &mut Payload, side: Side);

    /// The head of the response; `streams`: its body is a sequence of documents.
    fn response(&mut self, payload: &mut Payload, status: u16, streams: bool);

    /// Forgets what the response said.
    fn abandon(&mut self, payload: &mut Payload);

    /// Notes why a body was not read to its end.
    fn unread(&mut self, payload: &mut Payload, side: Side, unread: Option<Unread>);

    /// Whether what was found is such a call.
    fn is_sure(&self) -> bool;

    fn memory(&self, payload: &Payload) -> usize;
}

/// See [`Observer`].
#[derive(Debug)]
pub(super) struct Watch<S: Subject> {
    subject: S,
    payload: Box<Payload>,
    request: Body<S::Field>,
    response: Body<S::Field>,
    limits: Limits,
    /// Of the newest bytes.
    at: Timestamp,
    held: usize,
    most: usize,
}

impl<S: Subject> Watch<S> {
    pub(super) fn new(payload: Payload) -> Self {
        let subject = S::default();
        let (asked, answered) = (subject.shape(Side::Client), subject.shape(Side::Server));
        let limits = Limits { body: 0, name: MAX_NAME, content: 0 };
        Self {
            request: Body::new(asked),
            response: Body::new(answered),
            subject,
            payload: Box::new(payload),
            limits,
            at: Timestamp::default(),
            held: 0,
            most: usize::MAX,
        }
    }

    fn start(&mut self, request: &Request<'_>, config: &Config) {
        let content = if config.gen_ai_content { config.max_text as usize } else { 0 };
        let name = MAX_NAME.min(config.max_text as usize);
        self.limits = Limits { body: u64::from(config.max_body), name, content };
        self.at = request.start;
        // Some clients leave the type out.
        let form = if request.content_type.is_empty() { Some(Form::Json) } else { Form::of(request.content_type) };
        self.response.rest(None);
        match form {
            Some(form) => self.request.begin(form, request.coding, self.subject.shape(Side::Client), self.limits),
            None => self.request.rest(Some(Unread::Coding)),
        }
        self.tell(Side::Client);
    }

    /// The body of a side, and what takes what is found in it.
    #[inline]
    #[expect(clippy::type_complexity, reason = "a closure has no name")]
    fn parts(&mut self, side: Side) -> (&mut Body<S::Field>, impl FnMut(Found<'_, S::Field>)) {
        let (subject, payload, at) = (&mut self.subject, &mut *self.payload, self.at);
        let body = match side {
            Side::Client => &mut self.request,
            Side::Server => &mut self.response,
        };
        let take = move |found: Found<'_, S::Field>| match found {
            Found::Value(field, value) => subject.value(payload, side, field, value),
            Found::Document | Found::Dropped => subject.document(payload, side, at),
        };
        (body, take)
    }

    /// Tells what keeps a body from being read to its end.
    fn tell(&mut self, side: Side) {
        let body = match side {
            Side::Client => &self.request,
            Side::Server => &self.response,
        };
        if !body.is_wanted() || body.unread().is_some() {
            let unread = body.unread();
            self.subject.unread(&mut self.payload, side, unread);
        }
    }
}

impl<S: Subject> Observer for Watch<S> {
    fn kind(&self) -> KindOf {
        S::KIND
    }

    fn begin(&mut self, call: Call<'_>, request: &Request<'_>, config: &Config) {
        let contents = if config.gen_ai_content { config.max_text as usize } else { 0 };
        self.subject.begin(&mut self.payload, call, request, contents);
        self.start(request, config);
    }

    fn wants(&self, side: Side) -> bool {
        match side {
            Side::Client => self.request.is_wanted(),
            Side::Server => self.response.is_wanted(),
        }
    }

    fn body(&mut self, side: Side, bytes: &[u8], at: Timestamp) {
        self.at = at;
        {
            let (most, held) = (self.most, self.held);
            let (body, mut found) = self.parts(side);
            let others = held.saturating_sub(body.decoding());
            body.feed(bytes, most.saturating_sub(others), &mut found);
        }
        self.tell(side);
    }

    fn lose(&mut self, side: Side) {
        {
            let (body, mut found) = self.parts(side);
            body.lose(&mut found);
        }
        self.tell(side);
    }

    fn has_lost(&self, side: Side) -> bool {
        let unread = match side {
            Side::Client => self.request.unread(),
            Side::Server => self.response.unread(),
        };
        unread == Some(Unread::Gap)
    }

    fn end(&mut self, side: Side) {
        {
            let (body, mut found) = self.parts(side);
            body.end(&mut found);
        }
        self.tell(side);
        self.subject.over(&mut self.payload, side);
    }

    fn response(&mut self, head: &Response<'_>) {
        let form = Form::of(head.content_type);
        let streams = matches!(form, Some(Form::Events | Form::Lines));
        self.subject.response(&mut self.payload, head.status, streams);
        match form {
            Some(form) => self.response.begin(form, head.coding, self.subject.shape(Side::Server), self.limits),
            // An error page of a proxy, or nothing at all.
            None => self.response.rest(None),
        }
    }

    fn abandon(&mut self) {
        self.response.rest(None);
        self.subject.abandon(&mut self.payload);
    }

    fn payload(&self) -> Option<&Box<Payload>> {
        self.subject.is_sure().then_some(&self.payload)
    }

    fn measure(&mut self) -> usize {
        let bodies = self.request.memory().saturating_add(self.response.memory());
        let own = size_of::<Self>().saturating_add(size_of::<Payload>());
        self.held = bodies.saturating_add(own).saturating_add(self.subject.memory(&self.payload));
        self.held
    }

    fn memory(&self) -> usize {
        self.held
    }

    fn allow(&mut self, most: usize) {
        self.most = most;
    }
}

/// More digits are no part of a name with letters, as `HTTP_429`, and no number of an error.
const MAX_DIGITS: usize = 4;
const MAX_CODE: usize = 6;

/// Whether a text can be told as a name: what has a form that data seldom has.
pub(super) fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    let (digits, letters) =
        (text.bytes().filter(u8::is_ascii_digit).count(), text.bytes().any(|byte| byte.is_ascii_alphabetic()));
    (1..=64).contains(&text.len()) && text.bytes().all(is_part) && digits <= if letters { MAX_DIGITS } else { MAX_CODE }
}
