"""The source ``logs:LOG-GROUP``: a log group of CloudWatch Logs, read with FilterLogEvents."""
