//! Prints what the processes named on the command line (all, if none is) say to each other.

use std::{env, time::Duration};

use obtrace_probes::{Backend, Event, Options, Probes};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pids: Vec<u32> = env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let backend = match env::var("OBTRACE_BACKEND").as_deref() {
        Ok("fentry") => Backend::Fentry,
        Ok("tracepoint") => Backend::Tracepoint,
        _ => Backend::Auto,
    };
    let mut probes = Probes::load(&Options::new().with_backend(backend))?;
    let mut reader = probes.reader().ok_or("the reader was taken")?;
    probes.attach()?;
    let traced = if pids.is_empty() { probes.filter().allow_all()?.len() } else { probes.filter().allow(&pids)? };
    eprintln!("{traced} processes, {} back end", probes.backend());
    probes.refused().iter().for_each(|(name, why)| eprintln!("without {name}: {why}"));
    probes.join()?;
    loop {
        reader.events(Duration::from_millis(10), |event| match event {
            Ok(Event::Data(d)) => {
                println!("{} {:?} {} {:?}", d.socket, d.direction, d.length, d.bytes.escape_ascii().to_string())
            }
            Ok(event) => println!("{event:?}"),
            Err(error) => eprintln!("{error}"),
        })?;
    }
}
