"""Who won, by how much, at what cost: ranking, verdict and rendering over the store."""

from bissl_ray.leaderboard.across import across_table
from bissl_ray.leaderboard.board import Board, find_trial, outcomes, read_board
from bissl_ray.leaderboard.costs import Costs, read_costs
from bissl_ray.leaderboard.costs_table import costs_table
from bissl_ray.leaderboard.diagnose import of_winner, suggestions
from bissl_ray.leaderboard.live import LiveBoard
from bissl_ray.leaderboard.query import sort_rows, where_rows
from bissl_ray.leaderboard.ranking import rank
from bissl_ray.leaderboard.render import as_csv, as_json, as_markdown, table
from bissl_ray.leaderboard.trial import render_trial
from bissl_ray.leaderboard.verdict import Verdict, verdicts
from bissl_ray.statistics import Estimate, estimate, paired_gain

__all__ = [
    "Board",
    "Costs",
    "Estimate",
    "LiveBoard",
    "Verdict",
    "across_table",
    "as_csv",
    "as_json",
    "as_markdown",
    "costs_table",
    "estimate",
    "find_trial",
    "of_winner",
    "outcomes",
    "paired_gain",
    "rank",
    "read_board",
    "read_costs",
    "render_trial",
    "sort_rows",
    "suggestions",
    "table",
    "verdicts",
    "where_rows",
]
