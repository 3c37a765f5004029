"""nbgrader's settings for this course: its own directories mapped onto ours, its execution replaced by ours.

`ganedu release`, `grade` and `report` read it; so do nbgrader's own commands and formgrader.
"""

c = get_config()  # noqa: F821 (nbgrader gives it)

c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"

# Extended, not replaced: *.py beside a notebook is hidden from students; a submitted numpy.py is dropped.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "feedback",
    "*.py",
    "hidden",
]

# A submission is read as data, rebuilt on the released notebook, run in a sandbox and judged outside of it.
c.Autograde.exporter_class = "ganedu.grading.preprocessors.SubmissionExporter"
c.Autograde.sanitize_preprocessors = ["ganedu.grading.preprocessors.Rebuild"]
c.Autograde.autograde_preprocessors = [
    "ganedu.grading.preprocessors.Judge",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# nbgrader's own page trusts HTML in a notebook and loads scripts: `generate_feedback` writes ours instead.
c.GenerateFeedback.exporter_class = "ganedu.grading.feedback.FeedbackExporter"

# A heading's id is its text, and formgrader finds a cell's score field by its id, the grade_id: with
# "# some_test" in an answer, points that a human gives for it would be saved for some_test as well.
c.HTMLExporter.exclude_anchor_links = True
