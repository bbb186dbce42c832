"""Which of the machines that can take a unit is best for it: kube-scheduler's scores, their normalisation and weights.

Every score is an array over the places that are left, from 0 to 100. One that is the same everywhere is not added: it
decides nothing. https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ropewalk.planning.demands import Company, Evenly, Preference, Unit
from ropewalk.planning.fleet import Fleet, Mask
from ropewalk.planning.roll import Bond, Counts
from ropewalk.planning.sieve import among
from ropewalk.planning.standing import BEST

EVENNESS_WEIGHT = 2
COMPANY_WEIGHT = 2
_MEGABYTE = 1 << 20
_SMALL_IMAGES = 23 * _MEGABYTE
"""Less than this saves nothing."""
_LARGE_IMAGE = 1000 * _MEGABYTE
"""More than this a container makes no difference."""

Shares = npt.NDArray[np.float64]


def compare(fleet: Fleet, unit: Unit, places: Counts) -> Counts | None:
    """A score a place, that of resources apart (see `Standing`); None where all places are equal."""
    total: Counts | None = None
    for preference in unit.preferences:
        total = _plus(total, _preferred(fleet, preference, places), preference.weight)
    if unit.rather_evenly:
        total = _plus(total, _evenness(fleet, unit, places), EVENNESS_WEIGHT)
    total = _plus(total, _company(fleet, unit, places), COMPANY_WEIGHT)
    if unit.images:
        total = _plus(total, _images(fleet, unit, places), 1)
    return total


def has_wishes(fleet: Fleet, unit: Unit) -> bool:
    """Whether anything but resources may make one place better than another."""
    return bool(
        unit.rather_evenly
        or unit.likes
        or unit.dislikes
        or any(fleet.counted(preference) is not None for preference in unit.preferences)
        or any(bond is not Bond.APART for bond, _, _ in fleet.roll.bonds(unit))
        or any(fleet.images[name] for name in unit.images)
    )


def _plus(total: Counts | None, scores: Counts | None, weight: int) -> Counts | None:
    if scores is None:
        return total
    return weight * scores if total is None else total + weight * scores


def _preferred(fleet: Fleet, preference: Preference, places: Counts) -> Counts | None:
    everywhere = fleet.counted(preference)
    if everywhere is None:
        return None
    counts = everywhere[places]
    most = counts.max()
    if most == 0:
        return None
    scores: Counts = BEST * counts // most
    return BEST - scores if preference.fewest else scores


def _evenness(fleet: Fleet, unit: Unit, places: Counts) -> Counts | None:
    """The fewer there are with the same values the better; a field with more values weighs more."""
    wanted = unit.rather_evenly
    columns = [fleet.column(evenly.field) for evenly in wanted]
    counted, lacking = fleet.alive, np.zeros(len(places), np.bool_)
    if not unit.rather_everywhere:
        for codes, _ in columns:
            counted = counted & (codes >= 0)
            lacking |= codes[places] < 0
    if lacking.all():
        return None
    crowds = np.zeros(len(places))
    for evenly, (codes, values) in zip(wanted, columns, strict=True):
        crowds += _crowd(fleet, evenly, codes, values, places, counted, lacking)
    scores = np.floor(crowds + 0.5).astype(np.int64)
    fewest, most = scores[~lacking].min(), scores[~lacking].max()
    if most == 0:
        return None if not lacking.any() else np.where(lacking, 0, BEST)
    return np.where(lacking, 0, BEST * (most + fewest - scores) // most)


def _crowd(
    fleet: Fleet,
    evenly: Evenly,
    codes: Counts,
    values: int,
    places: Counts,
    counted: Mask,
    lacking: Mask,
) -> Shares:
    here = codes[places]
    counts = fleet.roll.counts(evenly.query)
    if evenly.by_machine:
        crowd: Shares = counts[places].astype(np.float64)
        size = len(places) - int(np.count_nonzero(lacking))
    else:
        sure = counted & among(fleet, evenly) & (codes >= 0)
        crowd = _sums(codes[sure], counts[sure], values)[here]
        size = int(np.count_nonzero(np.bincount(here[~lacking] + 1, minlength=values + 1)))
    found: Shares = np.where(here >= 0, crowd * np.log(size + 2) + (evenly.skew - 1), 0.0)
    return found


def _company(fleet: Fleet, unit: Unit, places: Counts) -> Counts | None:
    """What the unit likes and dislikes, and what those that are there like and dislike of it."""
    total: Counts | None = None
    wishes = [(company, fleet.roll.counts(company.query), company.weight) for company in unit.likes]
    wishes += [(company, fleet.roll.counts(company.query), -company.weight) for company in unit.dislikes]
    for bond, company, counts in fleet.roll.bonds(unit):
        if bond is not Bond.APART:
            wishes.append((company, counts, _BOND_WEIGHT[bond] * (company.weight or 1)))
    for company, counts, weight in wishes:
        found = _there(fleet, company, counts, places)
        if found is not None:
            total = weight * found if total is None else total + weight * found
    if total is None or (spread := total.max() - total.min()) == 0:
        return None
    scores: Counts = (BEST * ((total - total.min()) / spread)).astype(np.int64)
    return scores


def _sums(codes: Counts, counts: Counts, values: int) -> Shares:
    """By value; the last is that of no value."""
    return np.bincount(codes, weights=counts.astype(np.float64), minlength=values + 1).astype(np.float64)


_BOND_WEIGHT = {Bond.NEAR: 1, Bond.LIKES: 1, Bond.DISLIKES: -1}


def _there(fleet: Fleet, company: Company, counts: Counts, places: Counts) -> Counts | None:
    """How many of them share the field's value with each place."""
    somewhere = np.flatnonzero(counts)
    if not somewhere.size:
        return None
    codes, values = fleet.column(company.field)
    sums = np.bincount(codes[somewhere] + 1, weights=counts[somewhere], minlength=values + 1)
    sums[0] = 0  # without the field nothing is shared
    return sums.astype(np.int64)[codes[places] + 1]


def _images(fleet: Fleet, unit: Unit, places: Counts) -> Counts | None:
    """Images that are there already; those that few machines have count less, lest all go to these."""
    held = [name for name in unit.images if fleet.images[name]]
    if not held:
        return None
    saved = np.zeros(len(places), np.int64)
    for name in held:
        share = fleet.images[name] / len(fleet)
        saved += (fleet.image_sizes(name)[places] * share).astype(np.int64)
    most = _LARGE_IMAGE * len(unit.images)
    scores: Counts = BEST * (np.clip(saved, _SMALL_IMAGES, most) - _SMALL_IMAGES) // (most - _SMALL_IMAGES)
    return scores
