"""Jenkins: jobs from models/, triggering and following builds, approvals, release by tag; and what its stages ask."""
