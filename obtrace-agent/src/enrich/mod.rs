//! What spans are about: the process, its service, its container.

mod container;
mod kinds;
mod process;
mod runtime;
mod service;

use std::{collections::VecDeque, fs, path::PathBuf, sync::Arc};

use obtrace_export::model::{Attribute, Resource, Text, Value};
use rustc_hash::FxHashMap;

use crate::{
    kubernetes::{Cluster, Identity},
    traces::{SCHEMA_URL, Strand},
};

pub use container::container_id;
pub(crate) use container::id_of_component;
pub(crate) use kinds::Kinds;
pub use service::service_name;

use process::Process;

/// What can be set about resources.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Most processes that are remembered. 16,384.
    pub max_processes: usize,
    /// How long a process that has ended is remembered, in nanoseconds: spans of it may still be on their way. 10 s.
    pub keep_exited: u64,
    /// Whether `process.command_args` is recorded. Arguments often hold secrets: no.
    pub command_args: bool,
    /// Where the process file system is. `/proc`.
    pub proc: PathBuf,
    /// Attributes that every resource has, unless the process says otherwise.
    pub attributes: Vec<(String, String)>,
    /// What is known of the cluster that the processes run in.
    pub cluster: Option<Arc<Cluster>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_processes: 16_384,
            keep_exited: 10_000_000_000,
            command_args: false,
            proc: PathBuf::from("/proc"),
            attributes: Vec::new(),
            cluster: None,
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// What was found out about a process.
#[derive(Clone, Debug)]
struct Known {
    resource: Arc<Resource>,
    moves_work: bool,
    /// What is to be reported of it.
    told: Told,
    /// The state of the cluster by which more was to come.
    awaits: Option<u64>,
}

/// Which spans of a process are the agent's to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// All but these, which a loader in the process reports.
    AllBut(Kinds),
    /// None: another agent reports it, or nobody is to.
    Nothing,
}

/// What the agent says of itself.
pub(crate) fn of_agent(settings: &Settings) -> Resource {
    let host = host_name(settings);
    let mut all = vec![
        ("service.name".to_owned(), "obtrace-agent".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    if let Some(host) = host {
        all.push(("service.instance.id".to_owned(), format!("{host}:{}", std::process::id())));
        all.push(("host.name".to_owned(), host));
    }
    // Beside a Pod the name of the service is that of others.
    let cluster = settings.cluster.as_ref().map(|cluster| cluster.identity("").attributes).unwrap_or_default();
    let places =
        cluster.into_iter().filter(|(key, _)| key.starts_with("k8s.")).map(|(key, value)| (key.to_owned(), value));
    all.extend(places);
    all.extend(settings.attributes.iter().cloned());
    let mut attributes: Vec<Attribute> = Vec::with_capacity(all.len());
    for (key, value) in all {
        match attributes.iter_mut().find(|known| known.key == *key) {
            Some(known) => known.value = value.into(),
            None => attributes.push(Attribute::new(key, value)),
        }
    }
    Resource::new(attributes).with_schema_url(SCHEMA_URL)
}

fn host_name(settings: &Settings) -> Option<String> {
    let host = fs::read_to_string(settings.proc.join("sys/kernel/hostname")).ok();
    host.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Finds the resource of a process, once for each.
#[derive(Debug)]
pub struct Enricher {
    settings: Settings,
    host: Option<String>,
    /// By process id as the kernel side gives it.
    known: FxHashMap<u32, Known>,
    /// Process ids in the agent's own PID namespace, where they differ or are not visible (0).
    local: FxHashMap<u32, u32>,
    /// Who made the processes that still run what they were made with.
    parents: FxHashMap<u32, u32>,
    /// The keys of `known`, oldest first.
    order: VecDeque<u32>,
    exited: VecDeque<(u64, u32)>,
}

impl Enricher {
    /// An enricher that knows no process yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            host: host_name(&settings),
            settings,
            known: FxHashMap::default(),
            local: FxHashMap::default(),
            parents: FxHashMap::default(),
            order: VecDeque::new(),
            exited: VecDeque::new(),
        }
    }

    /// The resource of a process; read from the system when it is asked for first.
    pub fn resource(&mut self, process: u32) -> Arc<Resource> {
        self.known(process).resource
    }

    /// What a thread is to the requests that it handles: a strand of its own, unless its process moves requests from
    /// thread to thread (Go, .NET, Erlang; one that cannot be read might). Such a process is one strand as a whole, so
    /// that only a request that is alone in it is taken for the cause of what it does.
    pub fn strand(&mut self, thread: Strand) -> Strand {
        let moves = !thread.is_unknown() && self.known(thread.process).moves_work;
        if moves { Strand::of_process(thread.process) } else { thread }
    }

    /// The resource of a process, and which of its spans are to be reported.
    pub(crate) fn report(&mut self, process: u32) -> (Arc<Resource>, Told) {
        let known = self.known(process);
        (known.resource, known.told)
    }

    /// The cluster that the processes run in.
    pub(crate) fn cluster(&self) -> Option<&Cluster> {
        self.settings.cluster.as_deref()
    }

    fn known(&mut self, process: u32) -> Known {
        match self.known.get(&process) {
            None => self.read(process, ""),
            Some(known) if known.awaits.is_some_and(|then| self.generation() != then) => self.read_again(process),
            Some(known) => known.clone(),
        }
    }

    fn generation(&self) -> u64 {
        self.cluster().map_or(0, Cluster::generation)
    }

    /// More may be known of a process now. If it is gone, what is known of it stays.
    fn read_again(&mut self, process: u32) -> Known {
        let local = self.local.get(&process).copied().unwrap_or(process);
        let generation = self.generation();
        let read = Process::read(&self.settings.proc, local);
        let new = read.map(|read| self.describe(local, Some(&read), "", generation));
        let Some(known) = self.known.get_mut(&process) else { return self.read(process, "") };
        match new {
            Some(new) => *known = Known { moves_work: known.moves_work, ..new },
            None => known.awaits = None,
        }
        known.clone()
    }

    /// A process began, or runs another program now: what was known of its number is out of date. `local` is its
    /// number in the agent's own PID namespace, 0 if it has none.
    pub fn started(&mut self, process: u32, local: u32) {
        self.known.remove(&process);
        self.parents.remove(&process);
        if local == process {
            self.local.remove(&process);
        } else if self.local.len() < self.settings.max_processes || self.local.contains_key(&process) {
            self.local.insert(process, local);
        }
    }

    /// A process made another: a copy of itself until that one runs another program, which is what is said of it if it
    /// ends before it can be read.
    pub fn forked(&mut self, parent: u32, child: u32, local: u32) {
        self.started(child, local);
        if self.parents.len() < self.settings.max_processes {
            self.parents.insert(child, parent);
        }
    }

    /// A process runs another program now. It is read at once: it may not live long. Where it is gone already, `name` is
    /// what is known of it: the one that the kernel gives a thread, the program's file name as a rule.
    pub fn executed(&mut self, process: u32, local: u32, name: &str) {
        self.started(process, local);
        self.read(process, name);
    }

    /// A process ended.
    pub fn exited(&mut self, process: u32, now: u64) {
        self.exited.push_back((now, process));
        while let Some(&(time, process)) = self.exited.front() {
            let keep = now.saturating_sub(time) < self.settings.keep_exited;
            if keep && self.exited.len() <= self.settings.max_processes {
                break;
            }
            self.exited.pop_front();
            // Its number may be another's by now: that one is read again when it is asked for.
            self.known.remove(&process);
            self.local.remove(&process);
            self.parents.remove(&process);
        }
    }

    /// How many processes are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn read(&mut self, process: u32, name: &str) -> Known {
        let local = self.local.get(&process).copied().unwrap_or(process);
        let read = if local == 0 { None } else { Process::read(&self.settings.proc, local) };
        let parent = self.parents.get(&process).filter(|_| read.is_none()).copied();
        if let Some(parent) = parent.filter(|parent| !self.known.contains_key(parent)) {
            // Nobody asked for it yet. Its own maker is not asked for: numbers that are used again could make a circle.
            self.parents.remove(&parent);
            self.read(parent, "");
        }
        let known = match parent.and_then(|parent| Some((parent, self.known.get(&parent)?))) {
            Some((parent, known)) => self.copied(known, parent, local),
            None => Known {
                moves_work: local == 0 || runtime::moves_work(&self.settings.proc, local),
                ..self.describe(local, read.as_ref(), name, self.generation())
            },
        };
        self.known.insert(process, known.clone());
        self.order.push_back(process);
        while self.known.len() > self.settings.max_processes.max(1)
            || self.order.len() > 4 * self.settings.max_processes
        {
            let Some(oldest) = self.order.pop_front() else { break };
            if oldest != process {
                self.known.remove(&oldest);
            }
        }
        known
    }

    /// What is known of the maker of a process that is gone, with the process's own number.
    fn copied(&self, known: &Known, parent: u32, pid: u32) -> Known {
        let mut resource = Resource::clone(&known.resource);
        let parent = self.local.get(&parent).copied().unwrap_or(parent);
        let host = self.host.as_deref().unwrap_or_default();
        let instance = |pid| Value::from(format!("{host}:{pid}"));
        let (old, new) = (instance(parent), instance(pid));
        resource.attributes.retain_mut(|attribute| {
            if attribute.key == "process.pid" {
                attribute.value = i64::from(pid).into();
                return pid != 0;
            }
            let generated = attribute.key == "service.instance.id" && attribute.value == old;
            if generated {
                attribute.value = new.clone();
            }
            !generated || pid != 0
        });
        Known { resource: Arc::new(resource), ..known.clone() }
    }

    /// What is known of a process, as the cluster was at `generation`.
    fn describe(&self, pid: u32, process: Option<&Process>, name: &str, generation: u64) -> Known {
        let cgroup = process.map_or("", |process| &process.cgroup);
        // One that is gone was let through by the filter, which has asked the cluster.
        let gone = pid != 0 && process.is_none();
        let observed = gone || self.cluster().is_none_or(|cluster| cluster.observes(cgroup));
        let identity = self
            .cluster()
            .map(|cluster| cluster.identity(cgroup))
            .unwrap_or(Identity { complete: true, ..Identity::default() });
        let resource = self.resource_of(pid, process, name, &identity);
        let traced = process.and_then(|process| process.variable("OBTRACE_TRACED")).unwrap_or(&identity.traced);
        let told = if observed { Told::AllBut(Kinds::parse(traced)) } else { Told::Nothing };
        let awaits = (!observed || !identity.complete).then_some(generation);
        Known { resource: Arc::new(resource), moves_work: false, told, awaits }
    }

    fn resource_of(&self, pid: u32, process: Option<&Process>, name: &str, identity: &Identity) -> Resource {
        let mut attributes = Vec::with_capacity(16);
        let mut push = |key: Text, value: Value| match attributes.iter().position(|a: &Attribute| a.key == key) {
            Some(at) => attributes[at].value = value,
            None => attributes.push(Attribute::new(key, value)),
        };
        let text = |text: &str| Value::from(text.to_owned());
        let name = process
            .map_or_else(|| service_name(name, &[]), |process| service_name(&process.executable, &process.arguments()));
        push("service.name".into(), name.into());
        if let Some(host) = self.host.as_deref().filter(|_| pid != 0) {
            push("service.instance.id".into(), format!("{host}:{pid}").into());
        }
        if pid != 0 {
            push("process.pid".into(), i64::from(pid).into());
        }
        if let Some(process) = process {
            let path = process.executable.strip_suffix(" (deleted)").unwrap_or(&process.executable);
            if path.starts_with('/') {
                push("process.executable.path".into(), text(path));
            }
            if let Some(name) = path.rsplit('/').next().filter(|name| !name.is_empty()) {
                push("process.executable.name".into(), text(name));
            }
            if self.settings.command_args {
                let arguments: Vec<Value> = process.arguments().into_iter().map(text).collect();
                push("process.command_args".into(), Value::Array(arguments.into()));
            }
            if let Some(id) = container_id(&process.cgroup) {
                push("container.id".into(), text(id));
            }
        }
        if let Some(host) = &self.host {
            push("host.name".into(), text(host));
        }
        push("os.type".into(), "linux".into());
        push("telemetry.sdk.name".into(), "obtrace-agent".into());
        push("telemetry.sdk.language".into(), "rust".into());
        push("telemetry.sdk.version".into(), env!("CARGO_PKG_VERSION").into());
        for (key, value) in &identity.attributes {
            push((*key).into(), text(value));
        }
        for (key, value) in &self.settings.attributes {
            push(key.clone().into(), text(value));
        }
        if let Some(process) = process {
            for (key, value) in
                process.variable("OTEL_RESOURCE_ATTRIBUTES").map(service::resource_attributes).into_iter().flatten()
            {
                push(key.into(), value.into());
            }
            let environment = process.variable("OBTRACE_ENVIRONMENT");
            if let Some(environment) = environment {
                push("deployment.environment.name".into(), text(environment));
            }
            let named = process.variable("OTEL_SERVICE_NAME").or_else(|| process.variable("OBTRACE_SERVICE_NAME"));
            if let Some(name) = named {
                push("service.name".into(), text(name));
            }
        }
        Resource::new(attributes).with_schema_url(SCHEMA_URL)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    /// A process file system with one process.
    fn proc(name: &str, pid: u32, command: &str, environment: &str, cgroup: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("obtrace-enrich-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("sys/kernel")).unwrap();
        fs::write(root.join("sys/kernel/hostname"), "box\n").unwrap();
        add(&root, pid, command, environment, cgroup);
        root
    }

    fn add(root: &Path, pid: u32, command: &str, environment: &str, cgroup: &str) {
        let folder = root.join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cmdline"), command.replace(' ', "\0")).unwrap();
        fs::write(folder.join("environ"), environment.replace(' ', "\0")).unwrap();
        fs::write(folder.join("cgroup"), cgroup).unwrap();
        let _ = fs::remove_file(folder.join("exe"));
        symlink("/usr/bin/python3.11", folder.join("exe")).unwrap();
    }

    fn enricher(root: &Path) -> Enricher {
        Enricher::new(Settings { proc: root.to_owned(), ..Settings::default() })
    }

    fn get(resource: &Resource, key: &str) -> String {
        match resource.get(key) {
            Some(Value::Str(text)) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_process_is_described_by_what_it_runs() {
        let id = "ab".repeat(32);
        let root = proc("runs", 7, "python3 app.py --password=x", "A=B", &format!("0::/docker/{id}\n"));
        let resource = enricher(&root).resource(7);
        assert_eq!(get(&resource, "service.name"), "app");
        assert_eq!(get(&resource, "service.instance.id"), "box:7");
        assert_eq!(get(&resource, "process.executable.name"), "python3.11");
        assert_eq!(get(&resource, "process.executable.path"), "/usr/bin/python3.11");
        assert_eq!(get(&resource, "container.id"), id);
        assert_eq!(get(&resource, "host.name"), "box");
        assert_eq!(resource.get("process.pid"), Some(&Value::Int(7)));
        assert_eq!(resource.get("process.command_args"), None, "arguments hold secrets");
        assert_eq!(resource.schema_url, SCHEMA_URL);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_the_owner_says_wins() {
        let environment = "OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.version=2 OTEL_SERVICE_NAME=shop";
        let root = proc("owner", 7, "python3 app.py", environment, "");
        let resource = enricher(&root).resource(7);
        assert_eq!(get(&resource, "service.name"), "shop");
        assert_eq!(get(&resource, "service.version"), "2");
        assert_eq!(resource.attributes.iter().filter(|a| a.key == "service.name").count(), 1);
        add(&root, 8, "python3 app.py", "OTEL_RESOURCE_ATTRIBUTES=service.name=a", "");
        assert_eq!(get(&enricher(&root).resource(8), "service.name"), "a");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_copy_that_ended_is_called_as_its_maker_and_another_program_is_not() {
        let root = proc("copy", 7, "python3 app.py", "", "");
        let mut enricher = enricher(&root);
        let _ = enricher.resource(7);
        enricher.forked(7, 8, 8);
        let copy = enricher.resource(8);
        assert_eq!((get(&copy, "service.name"), get(&copy, "service.instance.id")), ("app".into(), "box:8".into()));
        assert_eq!(copy.get("process.pid"), Some(&Value::Int(8)));
        enricher.forked(7, 9, 9);
        enricher.executed(9, 9, "curl");
        let gone = enricher.resource(9);
        assert_eq!((get(&gone, "service.name"), gone.get("process.pid")), ("curl".into(), Some(&Value::Int(9))));
        enricher.executed(9, 9, "");
        assert_eq!(get(&enricher.resource(9), "service.name"), "unknown_service");
        enricher.forked(7, 10, 10);
        add(&root, 10, "python3 worker.py", "", "");
        assert_eq!(get(&enricher.resource(10), "service.name"), "worker", "it is read if it can be");
        add(&root, 11, "python3 asked.py", "", "");
        enricher.forked(11, 12, 12);
        assert_eq!(get(&enricher.resource(12), "service.name"), "asked", "its maker is read for it");
        enricher.forked(14, 13, 13);
        enricher.forked(13, 14, 14);
        assert_eq!(get(&enricher.resource(13), "service.name"), "unknown_service", "makers in a circle");
        fs::remove_dir_all(root).unwrap();
    }

    /// A copy that has ended and was not waited for has an entry in `/proc`, without arguments and without environment.
    #[test]
    fn a_copy_that_has_an_entry_only_is_taken_as_its_maker_too() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (own, pid) = (std::process::id(), child.id());
        let stat = format!("/proc/{pid}/stat");
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut enricher = Enricher::new(Settings::default());
        let of_maker = enricher.resource(own);
        enricher.known.get_mut(&own).unwrap().told = Told::AllBut(Kinds::parse("server"));
        enricher.forked(own, pid, pid);
        let (resource, told) = enricher.report(pid);
        assert_eq!(get(&resource, "service.name"), get(&of_maker, "service.name"));
        assert_eq!(resource.get("process.pid"), Some(&Value::Int(pid.into())));
        assert_eq!(
            told,
            Told::AllBut(Kinds::parse("server")),
            "what a loader reports of its maker, it reports of the copy"
        );
        child.wait().unwrap();
    }

    #[test]
    fn threads_are_strands_unless_the_program_moves_requests_between_them() {
        let root = proc("strands", 7, "server", "", "");
        let exe = |file: &[u8]| {
            fs::write(root.join("server"), file).unwrap();
            let _ = fs::remove_file(root.join("7/exe"));
            symlink(root.join("server"), root.join("7/exe")).unwrap();
        };
        let mut enricher = enricher(&root);
        exe(&runtime::tests::elf(true, b"\0.text\0.gopclntab\0"));
        assert_eq!(enricher.strand(Strand::new(7, 9)), Strand::new(7, 7));
        exe(&runtime::tests::elf(true, b"\0.text\0"));
        assert_eq!(enricher.strand(Strand::new(7, 9)), Strand::new(7, 7), "it is read once");
        enricher.executed(7, 7, "python3");
        assert_eq!(enricher.strand(Strand::new(7, 9)), Strand::new(7, 9));
        assert_eq!(enricher.strand(Strand::default()), Strand::default());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn another_program_or_another_process_with_the_number_is_read_again() {
        let root = proc("again", 7, "python3 app.py", "", "");
        let mut enricher = enricher(&root);
        assert_eq!(get(&enricher.resource(7), "service.name"), "app");
        add(&root, 7, "python3 other.py", "", "");
        assert_eq!(get(&enricher.resource(7), "service.name"), "app");
        enricher.executed(7, 7, "python3");
        // It may be gone when its first span comes.
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(get(&enricher.resource(7), "service.name"), "other");
        enricher.exited(7, 0);
        assert_eq!(get(&enricher.resource(7), "service.name"), "other", "spans of it may still come");
        enricher.exited(8, 20_000_000_000);
        assert_eq!(get(&enricher.resource(7), "service.name"), "unknown_service");
    }

    #[test]
    fn a_process_in_another_namespace_is_read_by_its_local_number() {
        let root = proc("namespace", 7, "python3 app.py", "", "");
        let mut enricher = enricher(&root);
        enricher.started(4_007, 7);
        assert_eq!(enricher.resource(4_007).get("process.pid"), Some(&Value::Int(7)));
        enricher.started(4_008, 0);
        assert_eq!(get(&enricher.resource(4_008), "service.name"), "unknown_service");
        fs::remove_dir_all(root).unwrap();
    }

    /// A process of a Pod that the cluster learns of in two steps.
    #[test]
    fn a_process_is_read_again_when_the_cluster_knows_more() {
        let (pod, id) = ("6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f", "ab".repeat(32));
        let root = proc("cluster", 7, "python3 app.py", "", &format!("0::/kubepods/pod{pod}/{id}\n"));
        let cluster = Arc::new(Cluster::of_node(crate::kubernetes::Settings::new("node1")));
        let settings = Settings { proc: root.clone(), cluster: Some(Arc::clone(&cluster)), ..Settings::default() };
        let mut enricher = Enricher::new(settings);
        let (resource, told) = enricher.report(7);
        assert_eq!((get(&resource, "k8s.pod.uid").as_str(), told), (pod, Told::Nothing));
        let mut record = crate::kubernetes::PodRecord::new(pod.parse().unwrap(), "shop".into(), "cart-x1".into());
        record.attributes = vec![("service.name", "cart".into())];
        record.containers = vec![("app".into(), None), ("log".into(), None)];
        cluster.set_pod(record.clone());
        let (resource, told) = enricher.report(7);
        assert_eq!((get(&resource, "service.name").as_str(), told), ("cart", Told::AllBut(Kinds::default())));
        record.containers = vec![("app".into(), Some(id)), ("log".into(), None)];
        cluster.set_pod(record.clone());
        let (resource, _) = enricher.report(7);
        assert_eq!(get(&resource, "k8s.container.name"), "app");
        assert_eq!(get(&resource, "service.instance.id"), "shop.cart-x1.app");
        // Now nothing is missing: what others do does not have it read again.
        cluster.set_blind(true);
        assert!(Arc::ptr_eq(&resource, &enricher.report(7).0));
        // What its owner says in its environment wins, and what a loader in it reports is left to that.
        add(
            &root,
            8,
            "python3 app.py",
            "OTEL_SERVICE_NAME=own OBTRACE_TRACED=server",
            &format!("0::/kubepods/pod{pod}/x\n"),
        );
        let (resource, told) = enricher.report(8);
        assert_eq!((get(&resource, "service.name").as_str(), told), ("own", Told::AllBut(Kinds::parse("server"))));
        // One that is gone keeps what is known of it.
        fs::remove_dir_all(root.join("8")).unwrap();
        cluster.set_blind(false);
        assert_eq!(get(&enricher.report(8).0, "service.name"), "own");
    }

    #[test]
    fn churn_does_not_grow_the_table() {
        let settings = Settings { max_processes: 50, proc: PathBuf::from("/nowhere"), ..Settings::default() };
        let mut enricher = Enricher::new(settings);
        for process in 1..10_000 {
            enricher.started(process, process + 1);
            enricher.resource(process);
            enricher.exited(process, u64::from(process) * 1_000_000);
        }
        assert!(enricher.len() <= 50 && enricher.order.len() <= 200);
        assert!(enricher.local.len() <= 51 && enricher.exited.len() <= 50);
    }
}
