//! .NET: CoreCLR, programs compiled ahead of time, Mono.

use super::{Rule, Rules, rule};
use crate::{
    Framework::AspNetCore,
    Runtime::{CoreClr, Mono},
};

const fn net(name: &'static str, grade: u8) -> Rule {
    rule(name, CoreClr, grade)
}

pub(super) const RULES: Rules = Rules {
    programs: &[
        net("dotnet", 90),
        net("dotnet-watch", 90),
        net("dotnet-monitor", 90),
        net("pwsh", 80),
        rule("mono", Mono, 90),
        rule("mono-sgen", Mono, 90),
    ],
    words: &[
        net("dotnet", 90),
        net("dotnetcore", 90),
        net("netcore", 90),
        net("csharp", 90),
        net("net-core", 90),
        net("asp-net", 90).of(AspNetCore),
        net("fsharp", 90),
        net("aspnet", 90).of(AspNetCore),
        net("aspnetcore", 90).of(AspNetCore),
        net("aspnetapp", 90).of(AspNetCore),
        net("blazor", 80).of(AspNetCore),
        rule("mono", Mono, 45),
    ],
    env: &[net("NUGET_XMLDOC_MODE", 70)],
    env_prefixes: &[
        net("ASPNETCORE_", 80).of(AspNetCore),
        net("COMPlus_", 80),
        net("CORECLR_", 80),
        net("ConnectionStrings__", 70),
        net("DOTNET_", 80),
        net("Kestrel__", 80).of(AspNetCore),
        net("Logging__LogLevel__", 80),
        net("OTEL_DOTNET_", 80),
        net("Serilog__", 80),
    ],
    image_env: &[net("DOTNET_VERSION", 90), net("DOTNET_SDK_VERSION", 90), net("ASPNET_VERSION", 90).of(AspNetCore)],
    extensions: &[net("dll", 90), net("csproj", 90), net("fsproj", 90)],
    frameworks: &[net("aspnetcore", 90).of(AspNetCore), net("aspnetapp", 90).of(AspNetCore)],
};
