job "fog-job1golden-s3-a2-598f4e90" {
  region = "eu"
  namespace = "default"
  name = "fog-job1golden-s3-a2-598f4e90"
  type = "service"
  priority = 50
  datacenters = ["*"]
  node_pool = "default"
  constraint {
    attribute = "${meta.fog_node}"
    value = "node1golden"
    operator = "="
  }
  group "slice" {
    count = 1
    task "prepare" {
      driver = "docker"
      user = "65534:65534"
      kill_timeout = "5s"
      kill_signal = "SIGTERM"
      lifecycle {
        hook = "prestart"
      }
      config {
        args = ["prepare", "H4sIAAAAAAAA_4RSzU7cPBR9FXTEtzMaO5k4jiX0iRYWlaDsugE0cmxnxiWJg-MMpaO8e-VhykC7aBZJfH3P9fnxDs5A7vDd15Dpzda-NbYHwdg6bSFzAhWj7YYImc0EjQtjXEU1PkJSgvQzQjKSwKvjyvZr11tIGK8fbQBB583Upsq4UVnBJctoVVIjWCZy3rBKCMGzohClWnLKVaFMlmvb5EwLLpaWU1aWrCiyYikazesKBK4fpjgeR-ZZLliR5ZbnrCp1lVU1L5uyypWglaitocrmijeqohnPl42pteaNWha8bPJ8yUGgwnqEvMPZ2WitAcHp7uvtzcXl6uL6-vbz6svlnJpO7vE0-WjNPU7-2z37YGY8JNHbZOYFJE4ZCD5BIsNMoIdp1bm2dZCsoJSgs50PL6vO1ZAFywjG6INa29cKXxJ06sfKTEFF5_u906MN230iOww-JNl3O_SqS5Y-2xoEQ_DRa99CIuoBBNr3UbneBkhBBSXY-DHFSCllM3lDr9PnA3wyf8ArSj_As3fwZ1ufPU1O_2PE3wweCDZWtXGTND263kBiE2PCJYVHXSq1YPHa_L-xdjhn-_ijDVvVQjL69hBE11k_HU451NZBJev4sW8m2Pp26uwHI42K6t2Jh-Xofh6SYTyx9lOs_ZT4xjDZmcB1ar1P5irdgDvc3F5enTdqjOlWXPUxvAze9TFtLWrXL1KWNqTNb7857LDQSm_SlHme518BAAD__25BNoKZAwAA"]
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
      resources {
        cpu = 3750
        memory = 544
      }
      logs {
        max_files = 1
        max_file_size = 1
        disabled = true
      }
      artifact {
        source = "https://registry/v2/inputs/blobs/sha256:32381523e63197c929b67f793a8098bed0ae3a6fa902634fdbcc6fa4567f3346"
        mode = "file"
        destination = "local/inputs.tar"
        options {
          archive = "false"
        }
      }
    }
    task "run" {
      driver = "docker"
      user = "0:0"
      kill_timeout = "15s"
      kill_signal = "SIGTERM"
      config {
        args = ["H4sIAAAAAAAA_4RSzU7cPBR9FXTEtzMaO5k4jiX0iRYWlaDsugE0cmxnxiWJg-MMpaO8e-VhykC7aBZJfH3P9fnxDs5A7vDd15Dpzda-NbYHwdg6bSFzAhWj7YYImc0EjQtjXEU1PkJSgvQzQjKSwKvjyvZr11tIGK8fbQBB583Upsq4UVnBJctoVVIjWCZy3rBKCMGzohClWnLKVaFMlmvb5EwLLpaWU1aWrCiyYikazesKBK4fpjgeR-ZZLliR5ZbnrCp1lVU1L5uyypWglaitocrmijeqohnPl42pteaNWha8bPJ8yUGgwnqEvMPZ2WitAcHp7uvtzcXl6uL6-vbz6svlnJpO7vE0-WjNPU7-2z37YGY8JNHbZOYFJE4ZCD5BIsNMoIdp1bm2dZCsoJSgs50PL6vO1ZAFywjG6INa29cKXxJ06sfKTEFF5_u906MN230iOww-JNl3O_SqS5Y-2xoEQ_DRa99CIuoBBNr3UbneBkhBBSXY-DHFSCllM3lDr9PnA3wyf8ArSj_As3fwZ1ufPU1O_2PE3wweCDZWtXGTND263kBiE2PCJYVHXSq1YPHa_L-xdjhn-_ijDVvVQjL69hBE11k_HU451NZBJev4sW8m2Pp26uwHI42K6t2Jh-Xofh6SYTyx9lOs_ZT4xjDZmcB1ar1P5irdgDvc3F5enTdqjOlWXPUxvAze9TFtLWrXL1KWNqTNb7857LDQSm_SlHme518BAAD__25BNoKZAwAA"]
        auth {
          password = "token"
          username = "job"
        }
        cap_add = ["chown", "dac_override", "fowner", "kill", "setgid", "setpcap", "setuid"]
        cap_drop = ["all"]
        cpu_hard_limit = true
        entrypoint = ["/alloc/fog-runner"]
        hostname = "task"
        image = "registry/images@sha256:120970d812836f19888625587a4606a5ad23cef31c8684e601771552548fc6b9"
        logging {
          type = "none"
        }
        mount {
          target = "/tmp"
          tmpfs_options {
            mode = 1023
            size = 570425344
          }
          type = "tmpfs"
        }
        mount {
          target = "/cache"
          tmpfs_options {
            mode = 1023
            size = 570425344
          }
          type = "tmpfs"
        }
        mount {
          readonly = true
          source = "../alloc/in"
          target = "/in"
          type = "bind"
        }
        network_mode = "fog-open"
        pids_limit = 512
        ports = ["web", "game"]
        readonly_rootfs = true
        security_opt = ["no-new-privileges"]
        ulimit {
          core = "0"
          nofile = "4096"
        }
      }
      resources {
        cpu = 3750
        memory = 544
      }
      logs {
        max_files = 1
        max_file_size = 1
        disabled = true
      }
      volume_mount {
        volume = "data"
        destination = "/data"
      }
    }
    volume "data" {
      type = "host"
      source = "fog-job1golden-t0-data"
      access_mode = "single-node-single-writer"
      attachment_mode = "file-system"
    }
    restart {
      interval = "10m0s"
      attempts = 60
      delay = "5s"
      mode = "delay"
    }
    disconnect {
      stop_on_client_after = "1m0s"
      replace = false
    }
    reschedule {
      delay = "5s"
      delay_function = "exponential"
      max_delay = "1m0s"
      unlimited = true
    }
    ephemeral_disk {
      size = 192
    }
    network {
      port "web" {
        static = 20001
        to = 8080
      }
      port "game" {
        static = 20002
        to = 9000
      }
    }
    service {
      name = "job1golden-web"
      tags = ["job1golden", "web", "tcp"]
      port = "web"
      provider = "nomad"
      check {
        name = "health"
        type = "http"
        path = "/health?deep=1"
        interval = "10s"
        timeout = "1s"
      }
    }
    service {
      name = "job1golden-game"
      tags = ["job1golden", "game", "udp"]
      port = "game"
      provider = "nomad"
    }
    service {
      name = "job1golden-web-quic"
      tags = ["job1golden", "web-quic", "udp"]
      port = "web"
      provider = "nomad"
    }
  }
  meta {
    fog_attempt = "2"
    fog_fingerprint = "sha256:ad3939c656e55d1a02a0a339ebcaa5967dedbf215925254303a224a2f24b5a71"
    fog_job = "job1golden"
    fog_node = "node1golden"
    fog_slice = "3"
  }
}
