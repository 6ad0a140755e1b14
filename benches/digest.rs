//! What a digest costs: HA1 once per agent and realm, the response once per REGISTER with
//! credentials. The control case computes HA1 anew each time and must be slower.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regstorm::sip::digest::{QopAuth, response};
use regstorm::sip::{Algorithm, Ha1};
use regstorm::vocab::Secret;
use std::hint::black_box;

const NONCE: &[u8] = b"ZvJQ3mbyT7I0Qm9jYm9kZQ";
const URI: &[u8] = b"sip:genesyscloud.test";

fn digest(c: &mut Criterion) {
    let secret = Secret::new("secret");
    let ha1_of = |algorithm| Ha1::compute(algorithm, black_box(b"agent00001"), b"genesyscloud.test", &secret);
    let qop = Some(QopAuth { nc: 1, cnonce: b"0a4f113b0a4f113b" });
    let mut group = c.benchmark_group("digest");
    group.throughput(Throughput::Elements(1));
    for algorithm in Algorithm::ALL {
        let ha1 = ha1_of(algorithm);
        group.bench_function(BenchmarkId::new("response", algorithm.as_str()), |b| {
            b.iter(|| response(algorithm, black_box(&ha1), NONCE, qop, b"REGISTER", URI));
        });
        group.bench_function(BenchmarkId::new("HA1 and response (control)", algorithm.as_str()), |b| {
            b.iter(|| response(algorithm, &ha1_of(algorithm), NONCE, qop, b"REGISTER", URI));
        });
    }
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
