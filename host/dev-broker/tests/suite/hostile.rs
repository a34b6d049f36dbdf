//! Clients that don't speak Kafka, or lie.

use std::{
    hash::{BuildHasher, RandomState},
    net::Shutdown,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::{BufMut, BytesMut};

use crate::{
    common::*,
    raw::{Raw, text},
};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, metadata_request::MetadataRequestTopic};

/// A frame with a proper header of some request, and then `body`.
fn frame(key: i16, version: i16, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    frame.put_slice(body);
    frame
}

#[test]
fn hostile_clients_hurt_nobody() {
    let cluster = own(quick());
    let bootstrap = &cluster.bootstrap;
    let topic = topic(bootstrap, 1, &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                put_numbers(bootstrap, &topic, 0, sent..sent + 100);
                sent += 100;
            }
            sent
        });
        // Stalled connections with a huge request announced stay open meanwhile.
        let stalled: Vec<_> = (0..20)
            .map(|_| {
                let mut raw = Raw::connect(bootstrap);
                raw.send_bytes(&90_000_000_i32.to_be_bytes()).unwrap();
                raw.send_bytes(&[0; 100]).unwrap();
                raw
            })
            .collect();
        for length in [i32::MAX, -1, i32::MIN, 0, 7, 0x4745_5420] {
            let mut raw = Raw::connect(bootstrap);
            raw.send_bytes(&length.to_be_bytes()).unwrap();
            assert!(raw.is_closed(), "{length}");
        }
        // Arrays that claim two thousand million elements, in every request and version.
        let huge = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f].repeat(20);
        for key in -1..100 {
            for version in -1..20 {
                for body in [&huge[..], &huge[1..], &[]] {
                    let mut raw = Raw::connect(bootstrap);
                    raw.send_frame(&frame(key, version, body));
                    raw.shutdown(Shutdown::Write);
                    let _ = raw.receive_frame();
                }
            }
        }
        let random = |seed: u64| {
            let hasher = RandomState::new();
            (0..8).flat_map(|i| hasher.hash_one((seed, i)).to_be_bytes()).collect::<Vec<_>>()
        };
        for seed in 0..3000 {
            let noise = random(seed);
            let mut raw = Raw::connect(bootstrap);
            match seed % 3 {
                0 => drop(raw.send_bytes(&noise)),
                1 => raw.send_frame(&noise),
                _ => raw.send_frame(&frame(i16::from(noise[0] % 62), i16::from(noise[1] % 14), &noise[2..])),
            }
            raw.shutdown(Shutdown::Write);
            let _ = raw.receive_frame();
        }
        stop.store(true, Ordering::Relaxed);
        let sent = honest.join().unwrap();
        assert_eq!(read_all(bootstrap, &topic).len(), sent as usize);
        drop(stalled);
    });
}

#[test]
fn a_later_api_versions_request_is_told_what_is_known() {
    let cluster = own(quick());
    let mut raw = Raw::connect(&cluster.bootstrap);
    // The header has tagged fields in this version: none.
    raw.send_frame(&frame(18, 99, &[0]));
    let response = raw.receive::<ApiVersionsRequest>(0);
    assert_eq!(response.error_code, 35, "UNSUPPORTED_VERSION");
    assert!(response.api_keys.iter().any(|key| (key.api_key, key.max_version) == (18, 4)));
    let name = MetadataRequestTopic::default().with_name(Some(text("a").into()));
    assert_eq!(raw.call(&MetadataRequest::default().with_topics(Some(vec![name])), 9).topics.len(), 1);
}
