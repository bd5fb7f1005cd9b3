job "fog-job1golden-s3-a2-598f4e90" {
  region = "eu"
  namespace = "fog-dev1"
  name = "fog-job1golden-s3-a2-598f4e90"
  type = "batch"
  priority = 50
  datacenters = ["fra1"]
  node_pool = "fog"
  constraint {
    attribute = "${meta.fog_node}"
    value = "node1golden"
    operator = "="
  }
  constraint {
    attribute = "${node.class}"
    value = "c7"
    operator = "="
  }
  group "slice" {
    count = 32
    max_run_duration = "15m0s"
    task "run" {
      driver = "docker"
      user = "65534:65534"
      kill_timeout = "5s"
      kill_signal = "SIGTERM"
      config {
        args = ["H4sIAAAAAAAA_0SQ3YrVMBDHX2X5s95lIR_NNMnd0b0RVvcBXClpkxyj_Tg2qauUvrsUhZ2LYX7DzMD8duQAt-P70sOdWVyXMcQZDGXMQ4RTDL7WON0qnDwYUl5L7aovP-CoYTirAqckO9e7_yg1McT5mucIh1dfJjBMS9jGk8s3LzU5IblteTBCGkVJWGMMSa1N6xvi5LUPUg0xKTEYMk0kLtpWaC11Y9JAvQVDnm9bLW8nlVRGaKkiKWHbwUrbU5taq7zh1vQxcB-Vp-Qtl6SaFPphoOQbTW1SqiEw-PVa4L7g4aHEGMBwv39-_nR57C5PT88fuo-Pxzl094Kf21JjeMHdu_11WcOBr-fLv06dFzjcCzC8h4PEwTDctm7K45jhhOacYYrTsv7pptzDaSEZSl1Wf43_OqfZyf_uwrb6mpcZjvhbHH8DAAD__2DNpGW3AQAA"]
        auth {
          password = "token"
          username = "job"
        }
        cap_drop = ["all"]
        cpu_hard_limit = true
        image = "registry/fog-runner@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        logging {
          type = "none"
        }
        network_mode = "none"
        pids_limit = 256
        readonly_rootfs = true
        security_opt = ["no-new-privileges"]
      }
      env {
        FOG_RUNNER_CACHE = "/cache"
      }
      resources {
        cpu = 3750
        memory = 768
      }
      logs {
        max_files = 1
        max_file_size = 1
        disabled = true
      }
      artifact {
        source = "https://registry/v2/modules/blobs/sha256:120970d812836f19888625587a4606a5ad23cef31c8684e601771552548fc6b9"
        mode = "file"
        destination = "local/module"
        options {
          archive = "false"
        }
        headers {
          Authorization = "Bearer m"
        }
      }
      artifact {
        source = "https://registry/v2/inputs/blobs/sha256:32381523e63197c929b67f793a8098bed0ae3a6fa902634fdbcc6fa4567f3346"
        mode = "file"
        destination = "local/inputs.tar"
        options {
          archive = "false"
        }
        headers {
          Authorization = "Bearer i"
        }
      }
      volume_mount {
        volume = "cache"
        destination = "/cache"
      }
    }
    volume "cache" {
      type = "host"
      source = "fog-cache"
    }
    restart {
      attempts = 0
      mode = "fail"
    }
    disconnect {
      stop_on_client_after = "1m0s"
      replace = false
    }
    reschedule {
      attempts = 0
      unlimited = false
    }
    ephemeral_disk {
      size = 192
    }
  }
  meta {
    fog_attempt = "2"
    fog_deadline = "2026-05-01T12:00:00Z"
    fog_fingerprint = "sha256:e7320da6dce70e9f39c222b46a04fe0a910a0a14ce569f1bd571793771d01b02"
    fog_job = "job1golden"
    fog_node = "node1golden"
    fog_slice = "3"
  }
}
