"""The group `batch`: what runs to completion."""

from __future__ import annotations

from ropewalk.kube.kinds.batch.cron_jobs import CronJobs
from ropewalk.kube.kinds.batch.jobs import Jobs
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"cronjobs": CronJobs(), "jobs": Jobs()}
