"""Field tables of Service, Deployment and DaemonSet: the levels that are read, by the Kubernetes API v1.34."""

from __future__ import annotations

from meshtest.manifests.fields import METADATA, Fields, kind, leaves, words

SERVICE = kind(
    Fields(
        read={
            **leaves("selector clusterIP type sessionAffinity"),
            "ports": Fields(
                read=leaves("name port targetPort protocol appProtocol"),
                unused=words("nodePort"),
            ),
        },
        unsupported={
            "publishNotReadyAddresses": "only ready pods get requests",
        },
        unused=words(
            "allocateLoadBalancerNodePorts clusterIPs externalIPs externalName externalTrafficPolicy "
            "healthCheckNodePort internalTrafficPolicy ipFamilies ipFamilyPolicy loadBalancerClass loadBalancerIP "
            "loadBalancerSourceRanges sessionAffinityConfig trafficDistribution"
        ),
    )
)

HTTP_GET = Fields(
    read={**leaves("path port scheme"), "httpHeaders": Fields(read=leaves("name value"))},
    unsupported={"host": "the pod's own address is asked"},
)
TCP_SOCKET = Fields(read=leaves("port"), unsupported={"host": "the pod's own address is asked"})
EXEC = Fields(read=leaves("command"))

PROBE = Fields(
    read={
        "httpGet": HTTP_GET,
        "tcpSocket": TCP_SOCKET,
        "exec": EXEC,
        "grpc": Fields(read=leaves("port service")),
        **leaves("initialDelaySeconds periodSeconds timeoutSeconds successThreshold failureThreshold"),
    },
    unsupported={
        "terminationGracePeriodSeconds": "the pod's grace period counts for its probes too",
    },
)

HOOK = Fields(
    read={"httpGet": HTTP_GET, "tcpSocket": TCP_SOCKET, "exec": EXEC, "sleep": Fields(read=leaves("seconds"))}
)

CONTAINER = Fields(
    read={
        **leaves("name image command args"),
        "env": Fields(read=leaves("name value"), unsupported={"valueFrom": "the variable is not set"}),
        "ports": Fields(read=leaves("name containerPort protocol"), unused=words("hostIP hostPort")),
        "readinessProbe": PROBE,
        "livenessProbe": PROBE,
        "startupProbe": PROBE,
        "lifecycle": Fields(
            read={"preStop": HOOK},
            unsupported={"postStart": "it is not run", "stopSignal": "SIGTERM is sent"},
        ),
    },
    unsupported={"envFrom": "these variables are not set"},
    unused=words(
        "imagePullPolicy resizePolicy resources restartPolicy restartPolicyRules securityContext stdin stdinOnce "
        "terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir"
    ),
)

VOLUME = Fields(
    read={
        "secret": Fields(read=leaves("secretName"), unused=words("defaultMode items optional")),
        "configMap": Fields(read=leaves("name"), unused=words("defaultMode items optional")),
    },
    unused=words(
        "awsElasticBlockStore azureDisk azureFile cephfs cinder csi downwardAPI emptyDir ephemeral fc flexVolume "
        "flocker gcePersistentDisk gitRepo glusterfs hostPath image iscsi name nfs persistentVolumeClaim "
        "photonPersistentDisk portworxVolume projected quobyte rbd scaleIO storageos vsphereVolume"
    ),
)
"""Read for the credentials in them: a stand-in speaks TLS with those that its pod mounts."""

POD = Fields(
    read={
        "containers": CONTAINER,
        "volumes": VOLUME,
        **leaves("terminationGracePeriodSeconds serviceAccountName serviceAccount"),
    },
    unsupported={
        "hostNetwork": "pods listen on ports of their own",
        "readinessGates": "a pod is ready when its probes pass",
    },
    unused=words(
        "activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
        "ephemeralContainers hostAliases hostIPC hostPID hostUsers hostname hostnameOverride imagePullSecrets "
        "initContainers nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName "
        "resourceClaims resources restartPolicy runtimeClassName schedulerName schedulingGates securityContext "
        "setHostnameAsFQDN shareProcessNamespace subdomain tolerations topologySpreadConstraints"
    ),
)

DEPLOYMENT = kind(
    Fields(
        read={
            **leaves("replicas"),
            "selector": Fields(read=leaves("matchLabels"), unused=words("matchExpressions")),
            "template": Fields(read={"metadata": METADATA, "spec": POD}),
            "strategy": Fields(
                read={**leaves("type"), "rollingUpdate": Fields(read=leaves("maxSurge maxUnavailable"))},
            ),
        },
        unsupported={
            "minReadySeconds": "a pod counts as available as soon as it is ready",
            "paused": "changes are rolled out at once",
        },
        unused=words("progressDeadlineSeconds revisionHistoryLimit"),
    )
)

DAEMON_SET = kind(
    Fields(
        read={
            "selector": Fields(read=leaves("matchLabels"), unused=words("matchExpressions")),
            "template": Fields(
                read={
                    "metadata": METADATA,
                    "spec": Fields(
                        read={**POD.read, **leaves("nodeSelector")},
                        unsupported=POD.unsupported,
                        unused=POD.unused - {"nodeSelector"},
                    ),
                }
            ),
            "updateStrategy": Fields(
                read={**leaves("type"), "rollingUpdate": Fields(read=leaves("maxSurge maxUnavailable"))},
            ),
        },
        unsupported={"minReadySeconds": "a pod counts as available as soon as it is ready"},
        unused=words("revisionHistoryLimit"),
    )
)


SECRET = Fields(
    read={**leaves("apiVersion kind type data stringData"), "metadata": METADATA},
    unused=words("immutable status"),
)
CONFIG_MAP = Fields(
    read={**leaves("apiVersion kind data"), "metadata": METADATA},
    unused=words("immutable binaryData status"),
)

ENDPOINT_SLICE = Fields(
    read={
        **leaves("apiVersion kind addressType"),
        "metadata": METADATA,
        "ports": Fields(read=leaves("name port protocol"), unused=words("appProtocol")),
        "endpoints": Fields(
            read={
                **leaves("addresses zone"),
                "conditions": Fields(read=leaves("ready"), unused=words("serving terminating")),
            },
            unused=words("deprecatedTopology hints hostname nodeName targetRef"),
        ),
    }
)
"""discovery/v1: it has no spec."""
