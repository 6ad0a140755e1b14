//! Probes with somebody at the keyboard: a signal ends them soon, and leaves no binding.

use super::failure::Failure;
use super::output::say;
use super::prober::Prober;
use crate::engine::Signals;
use tokio::sync::oneshot;

/// Does the work on a thread of its own. A signal stops the prober, so that the work ends soon and
/// leaves no binding; its number comes back beside what was done.
pub(super) fn attended<T: Send>(prober: &Prober, work: impl FnOnce() -> T + Send) -> Result<(T, Option<i32>), Failure> {
    let runtime = super::runtime()?;
    let entered = runtime.enter();
    let mut signals = Signals::listen(prober.clock).map_err(Failure::could_not)?;
    drop(entered);
    let (done, mut ended) = oneshot::channel();
    std::thread::scope(|scope| {
        // Whoever waits for it outlives the sending.
        scope.spawn(move || drop(done.send(work())));
        runtime.block_on(async {
            let mut came = None;
            loop {
                tokio::select! {
                    done = &mut ended => {
                        let done = done.map_err(|_| Failure::could_not("the work ended without a result"))?;
                        return Ok((done, came));
                    }
                    number = signals.next() => {
                        if came.replace(number).is_some() {
                            say("ended at once; a binding of each trunk may stay until its lifetime ends");
                            std::process::exit(128 + number);
                        }
                        prober.stop();
                    }
                }
            }
        })
    })
}
