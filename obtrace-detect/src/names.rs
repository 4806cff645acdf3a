//! The closed vocabularies: languages, runtimes, frameworks, strategies.

use core::{fmt, str::FromStr};

/// A name that the vocabulary does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseNameError {
    /// What was to be named: `language`, `runtime`, `framework` or `strategy`.
    what: &'static str,
    /// The names that there are.
    known: &'static [&'static str],
}

impl ParseNameError {
    /// The names that would have been understood.
    #[must_use]
    pub fn known(&self) -> &'static [&'static str] {
        self.known
    }
}

impl fmt::Display for ParseNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}: one of ", self.what)?;
        for (index, name) in self.known.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ParseNameError {}

/// Makes an enum whose variants have names, with the names in one place.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const NAMES: &'static [&'static str] = &[$($text,)*];

            /// The name as contracts, annotations and JSON have it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(ParseNameError { what: $what, known: Self::NAMES }),
                }
            }
        }
    };
}

vocabulary! {
    /// What a program is written in, as far as instrumentation cares.
    Language, "language" {
        /// JavaScript or TypeScript on Node.js, Bun or Deno.
        NodeJs = "nodejs",
        /// Python.
        Python = "python",
        /// Java, Kotlin, Scala and whatever else a JVM runs.
        Java = "java",
        /// C#, F# and Visual Basic on .NET.
        DotNet = "dotnet",
        /// PHP.
        Php = "php",
        /// Ruby.
        Ruby = "ruby",
        /// Go.
        Go = "go",
        /// Rust.
        Rust = "rust",
        /// Everything else, and whatever could not be told.
        Unknown = "unknown",
    }
}

impl Language {
    /// Whether the language has a hook through which an SDK is loaded. What a [`Runtime`] makes of it may differ.
    #[must_use]
    pub const fn has_sdk(self) -> bool {
        matches!(self, Self::NodeJs | Self::Python | Self::Java | Self::DotNet | Self::Php | Self::Ruby)
    }

    /// Reads a hint of a user: the names of [`Language::as_str`] and what people call these languages, in any case.
    ///
    /// ```
    /// use obtrace_detect::Language;
    ///
    /// assert_eq!(Language::from_hint("Node.js"), Some(Language::NodeJs));
    /// assert_eq!(Language::from_hint("golang"), Some(Language::Go));
    /// assert_eq!(Language::from_hint("cobol"), None);
    /// ```
    #[must_use]
    pub fn from_hint(hint: &str) -> Option<Self> {
        const NAMES: &[(&str, Language)] = &[
            ("nodejs", Language::NodeJs),
            ("node", Language::NodeJs),
            ("node.js", Language::NodeJs),
            ("js", Language::NodeJs),
            ("javascript", Language::NodeJs),
            ("typescript", Language::NodeJs),
            ("bun", Language::NodeJs),
            ("deno", Language::NodeJs),
            ("python", Language::Python),
            ("py", Language::Python),
            ("python3", Language::Python),
            ("java", Language::Java),
            ("jvm", Language::Java),
            ("kotlin", Language::Java),
            ("scala", Language::Java),
            ("dotnet", Language::DotNet),
            (".net", Language::DotNet),
            ("csharp", Language::DotNet),
            ("c#", Language::DotNet),
            ("aspnet", Language::DotNet),
            ("php", Language::Php),
            ("ruby", Language::Ruby),
            ("go", Language::Go),
            ("golang", Language::Go),
            ("rust", Language::Rust),
            ("unknown", Language::Unknown),
        ];
        let hint = hint.trim();
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(hint)).map(|(_, language)| *language)
    }
}

vocabulary! {
    /// What executes the program. Hooks belong to runtimes: Bun reads another variable than Node.js, a GraalVM native
    /// image reads none.
    Runtime, "runtime" {
        /// Node.js.
        Node = "node",
        /// Bun.
        Bun = "bun",
        /// Deno.
        Deno = "deno",
        /// The usual Python.
        CPython = "cpython",
        /// PyPy.
        PyPy = "pypy",
        /// A Java virtual machine.
        Jvm = "jvm",
        /// A Java program compiled ahead of time by GraalVM.
        GraalVmNative = "graalvm-native",
        /// .NET with its just-in-time compiler.
        CoreClr = "coreclr",
        /// A .NET program compiled ahead of time.
        NativeAot = "nativeaot",
        /// Mono, or the .NET Framework.
        Mono = "mono",
        /// The usual PHP.
        Php = "php",
        /// HHVM.
        Hhvm = "hhvm",
        /// The usual Ruby.
        CRuby = "cruby",
        /// JRuby.
        JRuby = "jruby",
        /// TruffleRuby.
        TruffleRuby = "truffleruby",
        /// Go's own.
        Go = "go",
        /// Rust has none; named so for want of another word.
        Rust = "rust",
        /// Not known.
        Unknown = "unknown",
    }
}

impl Runtime {
    /// The runtime that a language has when nothing says otherwise.
    #[must_use]
    pub const fn usual(language: Language) -> Self {
        match language {
            Language::NodeJs => Self::Node,
            Language::Python => Self::CPython,
            Language::Java => Self::Jvm,
            Language::DotNet => Self::CoreClr,
            Language::Php => Self::Php,
            Language::Ruby => Self::CRuby,
            Language::Go => Self::Go,
            Language::Rust => Self::Rust,
            Language::Unknown => Self::Unknown,
        }
    }

    /// The language whose programs it runs.
    #[must_use]
    pub const fn language(self) -> Language {
        match self {
            Self::Node | Self::Bun | Self::Deno => Language::NodeJs,
            Self::CPython | Self::PyPy => Language::Python,
            Self::Jvm | Self::GraalVmNative => Language::Java,
            Self::CoreClr | Self::NativeAot | Self::Mono => Language::DotNet,
            Self::Php | Self::Hhvm => Language::Php,
            Self::CRuby | Self::JRuby | Self::TruffleRuby => Language::Ruby,
            Self::Go => Language::Go,
            Self::Rust => Language::Rust,
            Self::Unknown => Language::Unknown,
        }
    }

    /// The strategy that can work: [`Strategy::Sdk`] where a documented hook reaches the runtime in all versions that
    /// are in use, else [`Strategy::Ebpf`].
    ///
    /// Only recent versions of Deno read `NODE_OPTIONS`; JRuby and TruffleRuby lack what the Ruby loader waits for;
    /// HHVM, Mono and programs compiled ahead of time have no such hook.
    #[must_use]
    pub const fn strategy(self) -> Strategy {
        match self {
            Self::Node
            | Self::Bun
            | Self::CPython
            | Self::PyPy
            | Self::Jvm
            | Self::CoreClr
            | Self::Php
            | Self::CRuby => Strategy::Sdk,
            _ => Strategy::Ebpf,
        }
    }
}

vocabulary! {
    /// A framework or server that says more about the program than its language.
    Framework, "framework" {
        /// Express.
        Express = "express",
        /// Fastify.
        Fastify = "fastify",
        /// NestJS.
        NestJs = "nestjs",
        /// Next.js.
        NextJs = "nextjs",
        /// Koa.
        Koa = "koa",
        /// FastAPI.
        FastApi = "fastapi",
        /// Flask.
        Flask = "flask",
        /// Django.
        Django = "django",
        /// Celery.
        Celery = "celery",
        /// Spring and Spring Boot.
        Spring = "spring",
        /// Quarkus.
        Quarkus = "quarkus",
        /// Micronaut.
        Micronaut = "micronaut",
        /// Apache Tomcat.
        Tomcat = "tomcat",
        /// ASP.NET Core.
        AspNetCore = "aspnetcore",
        /// Laravel.
        Laravel = "laravel",
        /// Symfony.
        Symfony = "symfony",
        /// WordPress.
        WordPress = "wordpress",
        /// Ruby on Rails.
        Rails = "rails",
        /// Sinatra.
        Sinatra = "sinatra",
        /// Puma.
        Puma = "puma",
        /// Gin.
        Gin = "gin",
        /// Echo.
        Echo = "echo",
        /// Fiber.
        Fiber = "fiber",
        /// gRPC.
        Grpc = "grpc",
        /// Actix Web.
        Actix = "actix",
        /// Axum.
        Axum = "axum",
        /// Rocket.
        Rocket = "rocket",
    }
}

impl Framework {
    /// The language that it belongs to; gRPC has implementations in all, here it is Go's.
    #[must_use]
    pub const fn language(self) -> Language {
        match self {
            Self::Express | Self::Fastify | Self::NestJs | Self::NextJs | Self::Koa => Language::NodeJs,
            Self::FastApi | Self::Flask | Self::Django | Self::Celery => Language::Python,
            Self::Spring | Self::Quarkus | Self::Micronaut | Self::Tomcat => Language::Java,
            Self::AspNetCore => Language::DotNet,
            Self::Laravel | Self::Symfony | Self::WordPress => Language::Php,
            Self::Rails | Self::Sinatra | Self::Puma => Language::Ruby,
            Self::Gin | Self::Echo | Self::Fiber | Self::Grpc => Language::Go,
            Self::Actix | Self::Axum | Self::Rocket => Language::Rust,
        }
    }

    /// Whether it is a server below many frameworks, whose name gives way to that of the framework itself.
    pub(crate) const fn is_server(self) -> bool {
        matches!(self, Self::Tomcat | Self::Puma | Self::FastApi)
    }
}

vocabulary! {
    /// How a container is instrumented.
    Strategy, "strategy" {
        /// The runtime loads an SDK through its own hook.
        Sdk = "sdk",
        /// An agent observes the process from the kernel.
        Ebpf = "ebpf",
        /// Both, each reporting what the other cannot see.
        Hybrid = "hybrid",
    }
}
