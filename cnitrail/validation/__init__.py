"""Whether log files are as CloudTrail wrote them, by the digests that it signs.

Pure: bytes and values in, values out. The algorithm is AWS's ("Custom implementations of CloudTrail log file
integrity validation",
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html).
"""
