//! What a shell script runs, as far as one can tell without running it.
//!
//! What stands last in the foreground is the container's program; what was sent to the background, and what stands in a
//! loop or a branch, may run beside it. Programs that ended before say nothing.

use crate::{
    Runtime,
    command::{Program, Seen, Trust, Words, read_at},
    rules::native::Native,
    shell::{Lexer, Token},
};

/// Commands of one script that are read.
const MAX_COMMANDS: usize = 256;

/// Reads a script; `params` are its `$0`, `$1` and so on.
pub(crate) fn read<'a>(script: &'a str, params: &[&'a str], depth: u8) -> Seen<'a> {
    let mut reader = Reader { params, depth, ..Reader::default() };
    let mut commands = 0;
    for token in Lexer::new(script) {
        if commands > MAX_COMMANDS {
            return Seen::Opaque("");
        }
        match token {
            Token::Word { text, quoted } => reader.word(text, quoted),
            Token::Unreadable => return reader.unreadable(script),
            operator => {
                commands += 1;
                reader.operator(operator);
            }
        }
        if reader.over {
            break;
        }
    }
    reader.end()
}

/// What runs at the same time.
#[derive(Clone, Copy, Debug, Default)]
struct Together<'a> {
    first: Option<Program<'a>>,
    second: Option<Program<'a>>,
    opaque: Option<&'a str>,
    native: Option<(&'a str, Native)>,
}

impl<'a> Together<'a> {
    fn add(&mut self, seen: Seen<'a>) {
        match seen {
            Seen::Nothing => {}
            Seen::Program(program) => self.add_program(program),
            Seen::Several(first, second) => {
                self.add_program(first);
                self.add_program(second);
            }
            Seen::Opaque(word) => self.opaque = self.opaque.or(Some(word)),
            Seen::Native(word, native) => match self.native {
                // A server says more than a tool.
                Some((_, Native::Server | Native::Idle)) => {}
                _ => self.native = Some((word, native)),
            },
        }
    }

    fn add_program(&mut self, program: Program<'a>) {
        match self.first {
            None => self.first = Some(program),
            Some(first) => match first.runtime.with(program.runtime) {
                Some(runtime) => {
                    let framework = first.framework.or(program.framework);
                    self.first = Some(Program { runtime, framework, ..first });
                }
                None => self.second = self.second.or(Some(program)),
            },
        }
    }

    fn seen(self) -> Seen<'a> {
        match (self.first, self.second, self.opaque, self.native) {
            (Some(first), Some(second), ..) => Seen::Several(first, second),
            (Some(first), None, ..) => Seen::Program(first),
            (_, _, Some(word), _) => Seen::Opaque(word),
            (_, _, _, Some((word, native))) => Seen::Native(word, native),
            _ => Seen::Nothing,
        }
    }
}

struct Reader<'p, 'a> {
    params: &'p [&'a str],
    depth: u8,
    /// The simple command that is being read.
    words: Words<'a>,
    /// The commands of the pipeline that is being read.
    pipeline: Together<'a>,
    /// What runs beside the foreground.
    beside: Together<'a>,
    /// The last pipeline in the foreground.
    last: Seen<'a>,
    /// Whether the pipeline that is being read only runs if the last one failed.
    alternative: bool,
    /// Loops, branches and groups that are open.
    nesting: usize,
    /// Whether this is what a loop or branch hangs on.
    condition: bool,
    /// Whether these are the patterns of `case`, or what it looks at.
    pattern: bool,
    /// Whether the shell has given way to a program.
    over: bool,
}

impl Default for Reader<'_, '_> {
    fn default() -> Self {
        Self {
            params: &[],
            depth: 0,
            words: Words::new(),
            pipeline: Together::default(),
            beside: Together::default(),
            last: Seen::Nothing,
            alternative: false,
            nesting: 0,
            condition: false,
            pattern: false,
            over: false,
        }
    }
}

impl<'a> Reader<'_, 'a> {
    fn word(&mut self, text: &'a str, quoted: bool) {
        if self.pattern {
            if text == "esac" && !quoted {
                self.pattern = false;
                self.nesting = self.nesting.saturating_sub(1);
            }
        } else if quoted || !self.words.as_slice().is_empty() || !self.keyword(text) {
            self.words.push(text);
        }
    }

    /// Takes a reserved word, which stands where a command would.
    fn keyword(&mut self, text: &str) -> bool {
        match text {
            "if" | "while" | "until" => {
                self.nesting += 1;
                self.condition = true;
            }
            "case" => {
                self.nesting += 1;
                self.pattern = true;
            }
            "elif" => self.condition = true,
            "then" | "do" | "else" => self.condition = false,
            "{" => self.nesting += 1,
            "}" | "fi" | "done" | "esac" => self.nesting = self.nesting.saturating_sub(1),
            "!" => {}
            _ => return false,
        }
        true
    }

    fn operator(&mut self, operator: Token<'a>) {
        if self.pattern {
            self.pattern = operator != Token::Close;
            return;
        }
        match operator {
            Token::Branch => {
                self.settle(false);
                self.pattern = true;
            }
            Token::Open => {
                if self.words.as_slice().is_empty() {
                    self.nesting += 1;
                } else {
                    // A function, or an array.
                    self.words.clear();
                    self.last = Seen::Opaque("(");
                }
                return;
            }
            Token::Close => {
                self.settle(false);
                self.nesting = self.nesting.saturating_sub(1);
                return;
            }
            Token::Pipe => {
                self.simple();
                return;
            }
            Token::Background => self.settle(true),
            _ => self.settle(false),
        }
        self.alternative = operator == Token::Or;
    }

    /// Ends a simple command.
    fn simple(&mut self) {
        let words = self.words;
        self.words.clear();
        let words = words.as_slice();
        let Some((&first, rest)) = words.split_first() else { return };
        match first {
            "for" | "select" => {
                self.nesting += 1;
                return;
            }
            "function" | "eval" => return self.pipeline.add(Seen::Opaque(first)),
            "exec" if rest.is_empty() => return,
            _ => {}
        }
        let seen = self.command(words);
        self.pipeline.add(seen);
        self.over = first == "exec" && self.nesting == 0 && !self.condition;
    }

    fn command(&self, words: &[&'a str]) -> Seen<'a> {
        let program = if words.first() == Some(&"exec") { words.get(1..).unwrap_or(&[]) } else { words };
        let params = match program.first() {
            Some(&("$@" | "${@}" | "$*" | "$1")) => self.params.get(1..),
            Some(&("$0" | "${0}")) => Some(self.params),
            _ => return read_at(words, Trust::Certain, self.depth),
        };
        match params {
            Some(params) if !params.is_empty() => read_at(params, Trust::Certain, self.depth),
            _ => Seen::Opaque(program.first().copied().unwrap_or("")),
        }
    }

    /// Ends a pipeline.
    fn settle(&mut self, background: bool) {
        self.simple();
        let seen = core::mem::take(&mut self.pipeline).seen();
        let daemon = seen.program().is_some_and(|program| program.daemon);
        if self.condition || seen == Seen::Nothing {
            return;
        }
        if background || daemon || self.nesting > 0 {
            self.beside.add(seen);
            return;
        }
        match (self.last, seen) {
            // Tools say nothing about what went before.
            (last, Seen::Native(_, Native::Tool)) if last != Seen::Nothing => {}
            (Seen::Program(_) | Seen::Several(..), _) if self.alternative => {
                if let Seen::Program(_) = seen {
                    self.beside.add(seen);
                }
            }
            (Seen::Program(before), Seen::Program(now)) if before.runtime == now.runtime => {
                // `php artisan migrate && php-fpm`
                self.last = Seen::Program(Program { framework: now.framework.or(before.framework), ..now });
            }
            _ => self.last = seen,
        }
    }

    fn end(mut self) -> Seen<'a> {
        self.settle(false);
        self.beside.add(self.last);
        self.beside.seen()
    }

    /// What was read up to here may still hold: what runs beside does, what was last does not.
    fn unreadable(self, script: &'a str) -> Seen<'a> {
        let first = script.split_ascii_whitespace().next().unwrap_or("");
        match self.beside.seen() {
            Seen::Several(first, second) => Seen::Several(first, second),
            _ => Seen::Opaque(first),
        }
    }
}

impl Runtime {
    /// The one runtime that explains both of these: JRuby is on a JVM, a native image was built by a JDK. `None` if
    /// they are two.
    pub(crate) fn with(self, other: Self) -> Option<Self> {
        let (special, usual) = if self == Self::usual(self.language()) { (other, self) } else { (self, other) };
        let same = special.language() == usual.language();
        let on_jvm = matches!(special, Self::JRuby | Self::TruffleRuby) && usual == Self::Jvm;
        let usual_one = usual == Self::usual(usual.language());
        ((same && usual_one) || special == usual || on_jvm).then_some(special)
    }
}
