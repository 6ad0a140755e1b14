//! What a worker owes its fleet while a run goes on: to obey orders, and to stop by itself when
//! nobody could give it any.

use super::note::{CoordinatorBeat, FleetOrder, FleetOrders};
use crate::vocab::Time;
use std::time::Duration;

/// One worker in a run.
#[derive(Debug)]
pub struct WorkerDuty {
    /// For how long it goes on without board or coordinator.
    patience: Duration,
    reached: Time,
    /// The coordinator's last beat, and when it was first seen.
    coordinator: (Option<CoordinatorBeat>, Time),
    /// How many orders have been obeyed.
    obeyed: usize,
    alone: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DutyAction {
    Obey(FleetOrder),
    /// Nobody leads any more: end the load, drain, un-REGISTER, and keep the record.
    GoAlone(String),
}

/// A board that was out of reach for longer has held up the coordinator as well.
const HELD_UP: Duration = Duration::from_secs(1);

impl WorkerDuty {
    pub fn new(patience: Duration, now: Time) -> WorkerDuty {
        WorkerDuty { patience, reached: now, coordinator: (None, now), obeyed: 0, alone: false }
    }

    /// The board was reached.
    pub fn reached(&mut self, now: Time) {
        if now.since(self.reached) > HELD_UP {
            self.coordinator.1 = now;
        }
        self.reached = now;
    }

    /// The coordinator's beat, as it hangs there.
    pub fn coordinator(&mut self, beat: CoordinatorBeat, now: Time) {
        if self.coordinator.0 != Some(beat) {
            self.coordinator = (Some(beat), now);
        }
    }

    /// All orders so far; those that are new are to be obeyed, unless it is alone already.
    pub fn orders(&mut self, orders: &FleetOrders) -> Vec<DutyAction> {
        let new = orders.orders.get(self.obeyed..).unwrap_or_default();
        self.obeyed += new.len();
        let obeys = |order: &&FleetOrder| !self.alone || **order == FleetOrder::Abort;
        new.iter().filter(obeys).copied().map(DutyAction::Obey).collect()
    }

    /// Says once when nobody has led for too long.
    pub fn tick(&mut self, now: Time) -> Option<DutyAction> {
        if self.alone {
            return None;
        }
        let of = if now.since(self.reached) >= self.patience {
            "the NATS server"
        } else if now.since(self.coordinator.1) >= self.patience {
            "the coordinator"
        } else {
            return None;
        };
        self.alone = true;
        Some(DutyAction::GoAlone(format!("nothing of {of} for {} s", self.patience.as_secs_f64())))
    }

    /// Whether it has gone on alone.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::Stage;

    const PATIENCE: Duration = Duration::from_secs(10);
    const STOP: FleetOrder = FleetOrder::EndStage { stage: Stage::Load, at_unix_ns: 9 };

    fn beat(count: u64) -> CoordinatorBeat {
        CoordinatorBeat { count }
    }

    #[test]
    fn orders_are_obeyed_once_however_often_they_are_read() {
        let mut duty = WorkerDuty::new(PATIENCE, Time::from_secs(1));
        assert_eq!(duty.orders(&FleetOrders::default()), []);
        let orders = FleetOrders { orders: vec![STOP] };
        assert_eq!(duty.orders(&orders), [DutyAction::Obey(STOP)]);
        assert_eq!(duty.orders(&orders), []);
        let orders = FleetOrders { orders: vec![STOP, FleetOrder::Abort] };
        assert_eq!(duty.orders(&orders), [DutyAction::Obey(FleetOrder::Abort)]);
    }

    #[test]
    fn without_a_board_it_goes_alone_after_its_patience_and_once() {
        let mut duty = WorkerDuty::new(PATIENCE, Time::from_secs(1));
        duty.reached(Time::from_secs(5));
        duty.coordinator(beat(1), Time::from_secs(5));
        assert_eq!(duty.tick(Time::from_millis(14_999)), None);
        let alone = duty.tick(Time::from_secs(15));
        assert_eq!(alone, Some(DutyAction::GoAlone("nothing of the NATS server for 10 s".to_owned())));
        assert_eq!(duty.tick(Time::from_secs(16)), None);
        assert!(duty.is_alone());
        // Who has gone alone removes its bindings in good order, unless somebody wants all to end.
        let orders = FleetOrders { orders: vec![STOP, FleetOrder::Abort] };
        assert_eq!(duty.orders(&orders), [DutyAction::Obey(FleetOrder::Abort)]);
    }

    #[test]
    fn a_coordinator_that_is_gone_is_noticed_while_the_board_is_there() {
        let mut duty = WorkerDuty::new(PATIENCE, Time::from_secs(1));
        for tenths in 10..130 {
            let now = Time::from_millis(tenths * 100);
            duty.reached(now);
            duty.coordinator(beat(if tenths < 30 { tenths } else { 29 }), now);
            let alone = duty.tick(now);
            assert_eq!(alone.is_some(), tenths == 129, "at {tenths}");
        }
    }

    #[test]
    fn an_outage_of_the_board_is_no_silence_of_the_coordinator() {
        let mut duty = WorkerDuty::new(PATIENCE, Time::from_secs(1));
        duty.reached(Time::from_secs(2));
        duty.coordinator(beat(1), Time::from_secs(2));
        // Nine seconds without a board, and the beat that hangs there is still the old one.
        duty.reached(Time::from_secs(11));
        duty.coordinator(beat(1), Time::from_secs(11));
        assert_eq!(duty.tick(Time::from_secs(12)), None);
        duty.reached(Time::from_millis(11_500));
        duty.reached(Time::from_millis(12_400));
        assert_eq!(duty.tick(Time::from_millis(12_400)), None, "it has ten seconds again");
        duty.coordinator(beat(2), Time::from_millis(12_500));
        assert_eq!(duty.tick(Time::from_millis(12_500)), None);
    }
}
