//! Capture files of any bytes: every packet is read or counted, nothing panics, nothing grows past its bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use obtrace_agent::{
    print::Format,
    replay::{CaptureReader, Options, Replay, ReplayError, Settings, run},
    traces::SpanRecord,
};

fuzz_target!(|data: &[u8]| {
    let mut packets = 0;
    let mut spans = 0;
    let settings = Settings::new().with_max_streams(4, 4);
    let mut replay = Replay::new(settings.clone(), |record: &SpanRecord, _| {
        spans += 1;
        assert!(record.span.end_unix_nano >= record.span.start_unix_nano);
    });
    let mut position = 0;
    if let Ok(mut reader) = CaptureReader::new(data) {
        while let Ok(Some(packet)) = reader.next_packet() {
            packets += 1;
            assert!(packet.bytes.len() <= data.len());
            assert!(packet.length as usize >= packet.bytes.len());
            replay.packet(&packet);
            assert!(reader.position() > position, "it goes on");
            position = reader.position();
        }
    }
    let summary = replay.finish();
    assert_eq!(summary.packets, packets);
    assert_eq!(summary.exchanges + summary.failed_connects, spans);

    let mut out = Vec::new();
    let options = Options::new().with_format(Format::Jsonl, false).with_settings(settings);
    let outcome = run(data, Some(data.len() as u64), &options, &mut out);
    assert!(!matches!(outcome.error, Some(ReplayError::Write(_))));
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count() as u64, spans);
});
