//! The demo's application: four servers in a network namespace of their own.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use crate::{
    command::{Run, Running},
    error::Error,
    interrupt,
    namespace::Namespace,
    say,
    workspace::Workspace,
};

const FRONT: &str = "http://127.0.0.1:8080";
const PRICING: &str = "http://127.0.0.1:8081";

/// The application while it runs. Dropping it ends all of it and removes its files. Fields are dropped in this order:
/// who calls first, then who is called.
pub(crate) struct Application {
    front: Running,
    pricing: Running,
    redis: Running,
    postgres: Running,
    pub(super) namespace: Namespace,
    pub(super) files: Folder,
    python: PathBuf,
    sources: PathBuf,
}

impl Application {
    /// Starts the servers and waits until they answer.
    pub(crate) fn start(workspace: &Workspace, python: PathBuf) -> Result<Self, Error> {
        let sources = workspace.path("examples/demo");
        let namespace = Namespace::new("obtrace-demo")?;
        let files = Folder::new()?;
        let postgres = start_postgres(&namespace, &files, &sources)?;
        say::step("PostgreSQL on port 5432");
        let redis = namespace
            .run("redis-server")
            .args(["--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&files.path)
            .start("Redis", &files.path.join("redis.log"))?;
        say::step("Redis on port 6379");
        let service = |name: &str, port: u16| {
            namespace
                .run(&python)
                .args([
                    "-m",
                    "gunicorn",
                    "--workers",
                    "2",
                    "--bind",
                    &format!("127.0.0.1:{port}"),
                    &format!("{name}:app"),
                ])
                .current_dir(&sources)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("OTEL_SERVICE_NAME", name)
                .env("DATABASE", "host=127.0.0.1 user=postgres dbname=postgres")
                .env("REDIS_PORT", "6379")
                .env("PRICING", PRICING)
                .start(name, &files.path.join(format!("{name}.log")))
        };
        let pricing = service("pricing", 8081)?;
        say::step("pricing service on port 8081");
        let front = service("front", 8080)?;
        say::step("front service on port 8080");
        let application = Self { front, pricing, redis, postgres, namespace, files, python, sources };
        application.drive(&["wait", &format!("{PRICING}/health"), &format!("{FRONT}/health")])?;
        Ok(application)
    }

    /// Starts the agent on the application's processes; its spans go to the terminal, what it says to `agent_log`.
    pub(crate) fn observe(&self, agent: &Path) -> Result<Running, Error> {
        Run::new(agent).args(self.agent_arguments()).start_visible("the agent", &self.agent_log())
    }

    /// What the agent says on stderr.
    pub(crate) fn agent_log(&self) -> PathBuf {
        self.files.path.join("agent.log")
    }

    /// The agent's arguments: a trace tree a request, of the application's processes alone, since the machine may have others.
    pub(super) fn agent_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["run".to_owned(), "--print".to_owned(), "tree".to_owned()];
        for server in self.servers() {
            for id in with_descendants(server.id()) {
                arguments.extend(["--pid".to_owned(), id.to_string()]);
            }
        }
        arguments
    }

    /// Sends `count` orders.
    pub(crate) fn order(&self, count: u32) -> Result<(), Error> {
        self.drive(&["order", FRONT, &count.to_string()])
    }

    /// The servers, callers first.
    pub(super) fn servers(&self) -> [&Running; 4] {
        [&self.front, &self.pricing, &self.redis, &self.postgres]
    }

    /// Leaves everything running: the servers, the namespace, the files.
    pub(super) fn keep(self) {
        for server in [self.front, self.pricing, self.redis, self.postgres] {
            server.keep();
        }
        self.namespace.keep();
        self.files.keep();
    }

    fn drive(&self, arguments: &[&str]) -> Result<(), Error> {
        self.namespace.run(&self.python).arg(self.sources.join("drive.py")).args(arguments).status()
    }
}

/// Makes a cluster with the demo's tables and starts it, all as the user `postgres`: PostgreSQL refuses root.
fn start_postgres(namespace: &Namespace, files: &Folder, sources: &Path) -> Result<Running, Error> {
    let programs = postgres_programs()?;
    let data = files.path.join("postgres");
    fs::create_dir(&data).map_err(Error::file("make", &data))?;
    Run::new("chown").arg("postgres:postgres").arg(&data).capture()?;
    let as_postgres = |program: &str| {
        namespace
            .run("setpriv")
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
            .arg(programs.join(program))
            .current_dir(&data)
    };
    as_postgres("initdb")
        .args(["--auth=trust", "--no-sync", "--username=postgres", "--pgdata"])
        .arg(&data)
        .capture()?;
    let server = as_postgres("postgres")
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .start("PostgreSQL", &files.path.join("postgres.log"))?;
    let psql = || as_postgres("psql").args(["--quiet", "--username=postgres", "--host"]).arg(&data);
    let ready =
        interrupt::wait_for(Duration::from_secs(30), || Ok(psql().args(["--command", "SELECT 1"]).capture().ok()))?;
    if ready.is_none() {
        return Err(Error::Wrong(format!(
            "PostgreSQL does not answer; {} says why",
            files.path.join("postgres.log").display()
        )));
    }
    let schema =
        fs::read_to_string(sources.join("schema.sql")).map_err(Error::file("read", sources.join("schema.sql")))?;
    psql().args(["--command", &schema]).capture()?;
    Ok(server)
}

/// The folder of the newest PostgreSQL server that Debian's packages put there.
fn postgres_programs() -> Result<PathBuf, Error> {
    let parent = Path::new("/usr/lib/postgresql");
    let entries = fs::read_dir(parent).map_err(Error::file("read", parent))?;
    let newest = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("postgres").exists())
        .max();
    newest
        .map(|(_, programs)| programs)
        .ok_or_else(|| Error::Cannot(format!("no PostgreSQL server below {}", parent.display())))
}

/// `id` and every process below it: workers that a server forked before the agent came.
fn with_descendants(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        next += 1;
    }
    found
}

/// A temporary folder; dropping it removes it.
pub(crate) struct Folder {
    pub(super) path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("obtrace-demo-{}", process::id()));
        fs::create_dir(&path).map_err(Error::file("make", &path))?;
        // The user `postgres` has to get through to its own folder.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(Error::file("open up", &path))?;
        Ok(Self { path, kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // What a server may still be writing is in the temporary folder: the system clears it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
