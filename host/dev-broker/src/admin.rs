//! Who and where the broker is: DescribeCluster, FindCoordinator.

use kafka_protocol::{
    ResponseError,
    messages::{
        DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
        describe_cluster_response::DescribeClusterBroker, find_coordinator_response::Coordinator,
    },
};

use crate::{
    api::Caller,
    broker::{Broker, HOST, NODE_ID},
};

/// Endpoint type "brokers", the only one there is.
const BROKERS: i8 = 1;

pub(crate) fn describe_cluster(broker: &Broker, _caller: &Caller, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let response = DescribeClusterResponse::default();
    if request.endpoint_type != BROKERS {
        return response.with_error_code(ResponseError::UnsupportedEndpointType.code());
    }
    let node = DescribeClusterBroker::default().with_broker_id(NODE_ID.into()).with_host(HOST).with_port(broker.port);
    response.with_cluster_id(broker.cluster_id.clone()).with_controller_id(NODE_ID.into()).with_brokers(vec![node])
}

/// The one node coordinates every group and every transaction.
pub(crate) fn find_coordinator(broker: &Broker, caller: &Caller, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let known = (0..=1).contains(&request.key_type);
    let code = if known { 0 } else { ResponseError::InvalidRequest.code() };
    if caller.version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(code)
            .with_node_id(NODE_ID.into())
            .with_host(HOST)
            .with_port(broker.port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(code)
            .with_node_id(NODE_ID.into())
            .with_host(HOST)
            .with_port(broker.port)
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
