"""Verifies log files against the digests that CloudTrail signs.

Pure: bytes and values in, values out. The algorithm is AWS's ("Custom implementations of CloudTrail log file
integrity validation",
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html).
"""
