//! What a container asks for and may use, and how the kernel is told.

use bollard::models::HostConfig;

/// Processor time in thousandths of one processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MilliCpu(pub u64);

/// An amount of memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub u64);

/// Requests and limits of one container, as in a pod's `resources`; `None` is a limit that is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Requested processor time; zero if none was.
    pub cpu_request: MilliCpu,
    /// Processor time that it may not exceed.
    pub cpu_limit: Option<MilliCpu>,
    /// Memory above which the kernel kills it. The engine refuses fewer than 6 MiB.
    pub memory_limit: Option<Bytes>,
    /// Who dies first when the machine runs out of memory, -1000..=1000, by quality of service. Below zero counts as
    /// zero: an engine without CAP_SYS_RESOURCE (rootless, or itself in a sandbox) cannot start a container with a
    /// negative score, and the order between the classes of service stays.
    pub oom_score_adjust: i16,
}

/// Length of one scheduling period in microseconds.
const QUOTA_PERIOD_US: u64 = 100_000;
/// The kernel accepts no smaller quota, in microseconds per period.
const QUOTA_US_MIN: u64 = 1_000;
const SHARES_PER_CPU: u64 = 1_024;
const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;

impl Resources {
    /// Writes these resources into what the engine is told. Swap is never given: memory plus swap equals memory.
    ///
    /// A limit of zero is no limit. Without a request the limit is the request.
    /// Source: `MilliCPUToShares` and `MilliCPUToQuota`, pkg/kubelet/cm/helpers_linux.go (v1.34.1).
    pub(super) fn apply(self, host: &mut HostConfig) {
        let limit = self.cpu_limit.filter(|limit| limit.0 > 0);
        let request = if self.cpu_request.0 == 0 { limit.unwrap_or_default() } else { self.cpu_request };
        host.cpu_shares = Some(signed(cpu_shares(request)));
        if let Some(limit) = limit {
            host.cpu_period = Some(signed(QUOTA_PERIOD_US));
            host.cpu_quota = Some(signed(cpu_quota_us(limit)));
        }
        if let Some(limit) = self.memory_limit.filter(|limit| limit.0 > 0) {
            host.memory = Some(signed(limit.0));
            host.memory_swap = Some(signed(limit.0));
        }
        host.oom_score_adj = Some(i64::from(self.oom_score_adjust.max(0)));
    }
}

/// Relative weight under contention, rounded down.
fn cpu_shares(request: MilliCpu) -> u64 {
    (request.0.saturating_mul(SHARES_PER_CPU) / 1000).clamp(SHARES_MIN, SHARES_MAX)
}

/// Microseconds of processor time per period, rounded down.
fn cpu_quota_us(limit: MilliCpu) -> u64 {
    (limit.0.saturating_mul(QUOTA_PERIOD_US) / 1000).max(QUOTA_US_MIN)
}

/// The engine's numbers are signed; an amount beyond that range is as good as unlimited.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(resources: Resources) -> HostConfig {
        let mut host = HostConfig::default();
        resources.apply(&mut host);
        host
    }

    #[test]
    fn a_pod_without_requests_gets_the_least_weight_and_no_ceiling() {
        let host = applied(Resources::default());
        assert_eq!((host.cpu_shares, host.cpu_quota, host.memory), (Some(2), None, None));
    }

    #[test]
    fn requests_become_weights_and_limits_become_quotas() {
        let host = applied(Resources {
            cpu_request: MilliCpu(250),
            cpu_limit: Some(MilliCpu(1500)),
            memory_limit: Some(Bytes(64 << 20)),
            oom_score_adjust: 999,
        });
        assert_eq!((host.cpu_shares, host.cpu_quota, host.cpu_period), (Some(256), Some(150_000), Some(100_000)));
        assert_eq!((host.memory, host.memory_swap, host.oom_score_adj), (Some(64 << 20), Some(64 << 20), Some(999)));
    }

    #[test]
    fn no_container_asks_for_a_score_that_an_unprivileged_engine_cannot_give() {
        assert_eq!(applied(Resources { oom_score_adjust: -997, ..Resources::default() }).oom_score_adj, Some(0));
    }

    #[test]
    fn a_limit_alone_is_also_the_request_and_never_below_what_the_kernel_takes() {
        let host = applied(Resources { cpu_limit: Some(MilliCpu(5)), ..Resources::default() });
        assert_eq!((host.cpu_shares, host.cpu_quota), (Some(5), Some(1_000)));
        let unlimited = applied(Resources { cpu_limit: Some(MilliCpu(0)), ..Resources::default() });
        assert_eq!((unlimited.cpu_shares, unlimited.cpu_quota), (Some(2), None));
    }
}
